"""Processes and what they cost, read from /proc: start, pin, CPU time, memory."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

_PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")
_STARTING_TAKES_AT_MOST_S = 60.0
_IDLE_AFTER_S = 0.1


@dataclass(frozen=True)
class Layout:
    """Which CPU is whose: the application's own, and the one of database and load generator."""

    application: frozenset[int]
    others: frozenset[int]

    @classmethod
    def of_this_machine(cls) -> "Layout":
        """Give the application one CPU of its own where there are two or more."""
        mine, *rest = sorted(os.sched_getaffinity(0))
        return cls(frozenset({mine}), frozenset(rest[:1] or {mine}))


def loop_options() -> tuple[str, str]:
    """Return uvicorn's event loop and HTTP parser: the fast ones where both are installed."""
    fast = find_spec("uvloop") is not None and find_spec("httptools") is not None
    return ("uvloop", "httptools") if fast else ("asyncio", "h11")


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody uses."""
    with socket.socket() as candidate:
        candidate.bind(("127.0.0.1", 0))
        port: int = candidate.getsockname()[1]
    return port


class Application:
    """A contender in a uvicorn process of its own, on one CPU."""

    def __init__(self, module: str, environment: dict[str, str], cpus: Iterable[int]) -> None:
        self.port = free_port()
        loop, http = loop_options()
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "uvicorn", f"{module}:app"),
                *("--port", str(self.port), "--loop", loop, "--http", http),
                *("--workers", "1", "--no-access-log", "--log-level", "warning"),
            ],
            env={**os.environ, **environment},
            # Ctrl-C is for the benchmark, which then ends its applications.
            start_new_session=True,
        )
        os.sched_setaffinity(self._process.pid, set(cpus))

    async def ready(self) -> None:
        """Wait until it listens.

        Raises:
            RuntimeError: It ended, or takes too long.
        """
        give_up_at = time.monotonic() + _STARTING_TAKES_AT_MOST_S
        while time.monotonic() < give_up_at:
            if self._process.poll() is not None:
                break
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.close()
                return
            await asyncio.sleep(0.05)
        self.stop()
        raise RuntimeError("A contender did not start; its own message is above.")

    def cpu_seconds(self) -> float:
        """Return the CPU time it has used so far, with its threads and children."""
        return sum(cpu_seconds(pid) or 0.0 for pid in _tree(self._process.pid))

    async def idle(self) -> None:
        """Wait until it does nothing any more, so that what was asked is also answered."""
        before = self.cpu_seconds()
        while True:
            await asyncio.sleep(_IDLE_AFTER_S)
            now = self.cpu_seconds()
            if now - before < _IDLE_AFTER_S / 20:
                return
            before = now

    def peak_megabytes(self) -> float:
        """Return the most memory it has had resident."""
        total = 0
        for pid in _tree(self._process.pid):
            for line in (_PROC / str(pid) / "status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    total += int(line.split()[1])
        return total / 1024

    def stop(self) -> None:
        """End it."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


def cpu_seconds(pid: int) -> float | None:
    """Return the CPU time of a process; None when there is none, or it cannot be seen."""
    try:
        tasks = list((_PROC / str(pid) / "task").iterdir())
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9
    except (OSError, IndexError, ValueError):
        return _cpu_ticks(pid)


def _cpu_ticks(pid: int) -> float | None:
    """Return the same in whole ticks, for kernels without schedstat."""
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    user, system = text.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / _TICKS


def command_name(pid: int) -> str | None:
    """Return the name of a process; None when it cannot be seen."""
    try:
        return (_PROC / str(pid) / "comm").read_text().strip()
    except OSError:
        return None


def _tree(pid: int) -> list[int]:
    found = [pid]
    for parent in found:
        with contextlib.suppress(OSError):
            for task in (_PROC / str(parent) / "task").iterdir():
                found += map(int, (task / "children").read_text().split())
    return found
