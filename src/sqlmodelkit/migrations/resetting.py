"""A database that begins anew, and the rows that it begins with.

Start at `reset` and `seed`.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, inspect, text

from sqlmodelkit.database import Database
from sqlmodelkit.errors import ConfigError
from sqlmodelkit.sessions import AsyncSession
from sqlmodelkit.settings import DatabaseSettings
from sqlmodelkit.transactions import held

from .environment import connected, engine_of
from .place import Schema
from .running import LOCK, Step, upgrade

Seed = Callable[[AsyncSession], Awaitable[Any]]
_NEAR = (None, "", "localhost", "127.0.0.1", "::1")


def is_for_development(settings: DatabaseSettings) -> bool:
    """Tell whether a database is a file, or on this machine."""
    url = settings.engine_url()
    return url.get_backend_name() == "sqlite" or url.host in _NEAR


def names_of(settings: DatabaseSettings) -> tuple[str, ...]:
    """Return what a database may be called: SQLite's also by its file's name alone."""
    url = settings.engine_url()
    whole = str(url.database)
    return (whole, Path(whole).name) if url.get_backend_name() == "sqlite" else (whole,)


async def reset(schema: Schema, *, name: str) -> list[Step]:
    """Drop every table and view, run all migrations, and return them.

    Args:
        schema: What the migrations are about.
        name: The name of the database, of an SQLite file without its directory if you like, so
            that nobody empties another one than meant.

    Raises:
        ConfigError: The database has another name, or a migration failed.
        Unavailable: It does not answer.
    """
    schema.check()
    database = str(schema.settings.engine_url().database)
    if name not in names_of(schema.settings):
        raise ConfigError(
            f"The database is {database!r}, not {name!r}: nothing was dropped.",
            hint="Give its name as it stands in DATABASE_URL.",
        )
    async with (
        connected(schema.settings) as connection,
        held(connection, engine_of(schema.settings), LOCK, None),
    ):
        await connection.run_sync(_drop_all)
        await connection.commit()
    return await upgrade(schema)


def _drop_all(connection: Connection) -> None:
    inspector: Any = inspect(connection)
    quote = connection.dialect.identifier_preparer.quote
    server = connection.dialect.name
    end = " CASCADE" if server == "postgresql" else ""
    if server in ("mysql", "mariadb"):
        connection.execute(text("SET foreign_key_checks = 0"))
    if server == "postgresql":
        for name in inspector.get_materialized_view_names():
            connection.execute(text(f"DROP MATERIALIZED VIEW IF EXISTS {quote(name)} CASCADE"))
    for name in inspector.get_view_names():
        connection.execute(text(f"DROP VIEW IF EXISTS {quote(name)}{end}"))
    for name in inspector.get_table_names():
        connection.execute(text(f"DROP TABLE IF EXISTS {quote(name)}{end}"))
    if server == "postgresql":
        for each in inspector.get_enums():
            connection.execute(text(f"DROP TYPE {quote(each['name'])}"))


async def seed(settings: DatabaseSettings, fill: Seed) -> Any:
    """Call a function with the session of a unit of work, and return what it returns.

    Raises:
        SQLModelKitError: A row was refused; nothing is stored then.
    """
    db = Database(settings=settings)
    try:
        async with db.transaction() as session:
            return await fill(session)
    finally:
        await db.close()
