"""Run many random histories by hand: `python -m tests.conformance --runs 5000 --engine sqlite`."""

import argparse
import asyncio
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.servers import DRIVERS, Databases, find_servers, with_driver

from .test_machine import compare

ENGINES = ("sqlite", "postgresql", "mariadb")


def _address(engine: str, stack: ExitStack) -> str:
    """Make a database that is dropped at the end."""
    if engine == "sqlite":
        folder = stack.enter_context(TemporaryDirectory())
        return f"sqlite+aiosqlite:///{Path(folder) / 'ledger.db'}"
    databases = Databases(find_servers(stack), Databases.name_run())
    stack.callback(databases.drop_all)
    return with_driver(databases.create(engine), DRIVERS[engine])


def main() -> None:
    """Run what the command line asks for; each call runs other histories."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("--runs", type=int, default=5000)
    parser.add_argument("--engine", choices=ENGINES, default="sqlite")
    options = parser.parse_args()
    start = time.monotonic()
    with asyncio.Runner() as runner, ExitStack() as stack:
        url = _address(options.engine, stack)
        compare(url, runner, runs=options.runs, derandomize=False)
    print(f"{options.runs} histories on {options.engine}: {time.monotonic() - start:.0f} s")  # noqa: T201


if __name__ == "__main__":
    main()
