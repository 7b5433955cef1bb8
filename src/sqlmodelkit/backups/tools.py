"""Programs of the database, run beside the event loop.

Start at `run_tool`. A password is never an argument, where everybody on the machine could read it.
"""

import asyncio
import os
import shutil
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import URL

from sqlmodelkit.errors import ConfigError, Unavailable

_PACKAGES = {
    "pg_dump": "postgresql-client",
    "pg_restore": "postgresql-client",
    "mariadb-dump": "mariadb-client",
    "mariadb": "mariadb-client",
}
_SSL = {"ssl": "PGSSLMODE", "sslmode": "PGSSLMODE"}


def find_tool(*names: str) -> str:
    """Return the path of the first of these programs that is installed.

    Raises:
        ConfigError: None is.
    """
    for name in names:
        path = shutil.which(name)
        if path is not None:
            return path
    package = _PACKAGES.get(names[0], names[0])
    raise ConfigError(
        f"The program {names[0]} is not installed.",
        hint=f"Install the database's own tools, on Debian by `apt install {package}`.",
    )


async def run_tool(
    program: str,
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str] | None = None,
    source: Path | None = None,
    left: str = "Nothing was kept of it.",
) -> None:
    """Run a program to its end; it is ended when the task is cancelled.

    Args:
        program: Its path.
        arguments: What it is told.
        environment: Variables besides those of this process.
        source: A file that it reads as its input.
        left: What there is of its work when it fails.

    Raises:
        Unavailable: It failed; the message has the last of what it complained about.
    """
    with _opened(source) as given:
        process = await asyncio.create_subprocess_exec(
            program,
            *arguments,
            env={**os.environ, **(environment or {})},
            stdin=given,
            stdout=DEVNULL,
            stderr=PIPE,
        )
        try:
            _, complaints = await process.communicate()
        finally:
            await _end(process)
    if process.returncode:
        lines = [line for line in complaints.decode(errors="replace").splitlines() if line.strip()]
        raise Unavailable(
            f"{Path(program).name} failed with status {process.returncode}: "
            f"{' '.join(lines[-3:]) or 'it said nothing'}",
            hint=left,
        )


async def _end(process: Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _opened(source: Path | None) -> Any:
    return open(os.devnull if source is None else source, "rb")  # noqa: PTH123 - both


def postgresql_environment(url: URL) -> dict[str, str]:
    """Return the variables by which PostgreSQL's programs find a database."""
    found = {
        "PGHOST": str(url.query.get("host") or url.host or ""),
        "PGPORT": str(url.port or ""),
        "PGUSER": url.username or "",
        "PGPASSWORD": str(url.password or ""),
        "PGDATABASE": url.database or "",
    }
    for name, variable in _SSL.items():
        mode = url.query.get(name)
        if isinstance(mode, str):
            found[variable] = mode
    return {name: value for name, value in found.items() if value}


@asynccontextmanager
async def mysql_options(url: URL) -> AsyncIterator[str]:
    """Give the argument that names a file, readable by us only, with how to connect."""
    options = {
        "host": url.host,
        "port": url.port,
        "user": url.username,
        "password": url.password,
        "socket": url.query.get("unix_socket"),
    }
    lines = [f'{name}="{_escaped(value)}"' for name, value in options.items() if value]
    with TemporaryDirectory(prefix="sqlmodelkit-") as directory:
        path = Path(directory) / "client.cnf"
        path.touch(mode=0o600)
        path.write_text("\n".join(["[client]", *lines, ""]), encoding="utf-8")
        yield f"--defaults-extra-file={path}"


def _escaped(value: object) -> str:
    return str(value).replace("\\", "\\\\").replace('"', '\\"')
