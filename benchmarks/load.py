"""Load: a fixed number of connections, each with one request at a time.

By wrk where it is installed; otherwise by this module, run as a process of its own.
"""

import asyncio
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path

from .endpoints import Request

_WRK_SCRIPT = Path(__file__).with_name("wrk.lua")
_LENGTH_DIGITS = 10


@dataclass(frozen=True)
class Load:
    """What a load did.

    Attributes:
        requests: How many were answered in time.
        errors: How many of them failed, or were answered with another status than a 2xx.
    """

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    errors: int


def generator_name() -> str:
    """Say what makes the load here."""
    return "wrk" if shutil.which("wrk") else "the built-in generator"


def unanswered(connections: int) -> int:
    """Return how many requests a load leaves behind: the application still works on them.

    wrk hangs up with a request under way on each connection; the built-in generator waits.
    """
    return connections if shutil.which("wrk") else 0


async def run_load(
    port: int, requests: Sequence[Request], *, seconds: int, connections: int, cpus: Iterable[int]
) -> Load:
    """Send requests in turn for some seconds.

    Raises:
        RuntimeError: The generator failed.
    """
    with tempfile.NamedTemporaryFile(suffix=".requests") as file:
        for request in requests:
            raw = request.raw()
            file.write(f"{len(raw):0{_LENGTH_DIGITS}}".encode() + raw)
        file.flush()
        process = await asyncio.create_subprocess_exec(
            *_command(port, file.name, seconds, connections),
            stdout=asyncio.subprocess.PIPE,
        )
        os.sched_setaffinity(process.pid, set(cpus))
        output, _ = await process.communicate()
    for line in output.decode().splitlines():
        if line.startswith("result "):
            return Load(**json.loads(line.removeprefix("result ")))
    raise RuntimeError(f"The load generator failed:\n{output.decode()}")


def _command(port: int, path: str, seconds: int, connections: int) -> list[str]:
    if wrk := shutil.which("wrk"):
        return [
            *(wrk, "--threads", "1", "--connections", str(connections)),
            *("--duration", f"{seconds}s", "--timeout", "30s", "--script", str(_WRK_SCRIPT)),
            *(f"http://127.0.0.1:{port}", "--", path),
        ]
    return [sys.executable, "-m", "benchmarks.load", *map(str, (port, path, seconds, connections))]


class _Generator:
    """The built-in generator: connections that read and write by turns."""

    def __init__(self, port: int, requests: Sequence[bytes], seconds: float) -> None:
        self.port = port
        self.requests = cycle(requests)
        self.seconds = seconds
        self.latencies: list[float] = []
        self.errors = 0

    async def run(self, connections: int) -> Load:
        start = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(connections):
                tasks.create_task(self._connection(start + self.seconds))
        took = time.perf_counter() - start
        ordered = sorted(self.latencies)
        count = len(ordered)
        p50, p99 = (1000 * ordered[int(count * part)] for part in (0.5, 0.99))
        return Load(count, took, p50, p99, self.errors)

    async def _connection(self, until: float) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        while (begun := time.perf_counter()) < until:
            writer.write(next(self.requests))
            status = await _answer(reader)
            self.latencies.append(time.perf_counter() - begun)
            self.errors += not 200 <= status < 300
        writer.close()


async def _answer(reader: asyncio.StreamReader) -> int:
    """Read one answer; return its status."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    _, _, rest = head.partition(b"content-length:")
    if not rest:
        raise ConnectionError("An answer has no Content-Length.")
    await reader.readexactly(int(rest.partition(b"\r\n")[0]))
    return int(head.split(maxsplit=2)[1])


def _read(path: Path) -> list[bytes]:
    data, found, place = path.read_bytes(), [], 0
    while place < len(data):
        start = place + _LENGTH_DIGITS
        place = start + int(data[place:start])
        found.append(data[start:place])
    return found


def main(arguments: Sequence[str]) -> None:
    """Run the built-in generator and print one line of JSON, as wrk.lua does."""
    port, path, seconds, connections = arguments
    generator = _Generator(int(port), _read(Path(path)), float(seconds))
    print("result", json.dumps(asdict(asyncio.run(generator.run(int(connections))))))


if __name__ == "__main__":
    main(sys.argv[1:])
