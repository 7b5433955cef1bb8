"""The example shop as a real process, as `make demo` starts it. Start at `running_shop`."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2

ROOT = Path(__file__).parents[2]
TOKEN = "acceptance-token"
OPENS_WITHIN_S = 120
CLOSES_WITHIN_S = 30
_ADDRESS = re.compile(r"^  (http://\S+)/ ", re.MULTILINE)


@dataclass
class Shop:
    """A shop that serves: its process, its address, and how to talk to it."""

    process: subprocess.Popen[bytes]
    address: str
    output: Path
    client: httpx2.Client

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.address.rpartition(":")[2])

    def get(self, path: str) -> httpx2.Response:
        """Read, without a token."""
        return self.client.get(path)

    def send(self, method: str, path: str, body: object = None) -> httpx2.Response:
        """Write, with the token."""
        headers = {"Authorization": f"Bearer {TOKEN}"}
        if isinstance(body, (str, bytes)):
            headers["Content-Type"] = "application/json"
            return self.client.request(method, path, content=body, headers=headers)
        return self.client.request(method, path, json=body, headers=headers)


def start_shop(
    directory: Path,
    *,
    url: str | None = None,
    arguments: Sequence[str] = ("--port", "0", "--scale", "0.02"),
    token: str | None = TOKEN,
) -> subprocess.Popen[bytes]:
    """Start the command in a directory; what it prints goes to `shop.log` there."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("DATABASE_URL", "SHOP_TOKEN")
    }
    environment |= {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}
    if url is not None:
        environment["DATABASE_URL"] = url
    if token is not None:
        environment["SHOP_TOKEN"] = token
    with (directory / "shop.log").open("wb") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "examples.shop", *arguments],
            cwd=directory,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )


@contextmanager
def running_shop(
    directory: Path, *, url: str | None = None, token: str | None = TOKEN
) -> Iterator[Shop]:
    """Serve a small shop from a directory, on a free port; SQLite unless a url is given."""
    process = start_shop(directory, url=url, token=token)
    try:
        address = _wait_for_address(process, directory / "shop.log")
        with httpx2.Client(base_url=address, timeout=30) as client:
            yield Shop(process, address, directory / "shop.log", client)
    finally:
        stop(process)


def stop(process: subprocess.Popen[bytes]) -> int:
    """Press Ctrl-C, and return the exit status."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    try:
        return process.wait(CLOSES_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise


def _wait_for_address(process: subprocess.Popen[bytes], output: Path) -> str:
    give_up_at = time.monotonic() + OPENS_WITHIN_S
    while True:
        text = output.read_text(errors="replace")
        found = _ADDRESS.search(text)
        if found:
            return found[1]
        if process.poll() is not None or time.monotonic() > give_up_at:
            raise AssertionError(f"The shop did not open:\n{text}")
        time.sleep(0.05)
