"""An empty database beside the real one, to try migrations on.

Start at `scratch`.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from sqlmodelkit.drivers import translate
from sqlmodelkit.errors import ConfigError, Unavailable
from sqlmodelkit.settings import DatabaseSettings

from .environment import connected


@asynccontextmanager
async def scratch(settings: DatabaseSettings) -> AsyncIterator[DatabaseSettings]:
    """Make an empty database on the same server, and drop it when the block ends.

    Raises:
        ConfigError: The user may not make databases.
        Unavailable: The server does not answer.
    """
    url = settings.engine_url()
    if url.get_backend_name() == "sqlite":
        with TemporaryDirectory() as directory:
            yield _at(settings, str(Path(directory) / "scratch.db"))
        return
    name = f"sqlmodelkit_scratch_{token_hex(6)}"
    letters = "" if url.get_backend_name() == "postgresql" else " CHARACTER SET utf8mb4"
    await _run(settings, f"CREATE DATABASE {name}{letters}")
    try:
        yield _at(settings, name)
    finally:
        await _run(settings, f"DROP DATABASE {name}")


def _at(settings: DatabaseSettings, database: str) -> DatabaseSettings:
    url = settings.engine_url().set(database=database).render_as_string(hide_password=False)
    return settings.model_copy(update={"url": url})


async def _run(settings: DatabaseSettings, statement: str) -> None:
    async with connected(settings) as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        try:
            await connection.execute(text(statement))
        except DBAPIError as error:
            ours = translate(error)
            if isinstance(ours, Unavailable):
                raise ours from error
            raise ConfigError(
                f"A database to try the migrations on cannot be made: {error.orig}",
                hint="Let the user create databases, or use another server for it.",
            ) from error
