"""Models from a database that is there already. Ring 11.

Start at `inspect_database`.
"""

from collections.abc import Collection

from sqlalchemy import Connection

from sqlmodelkit.database import Database
from sqlmodelkit.sessions import translating

from .names import looks_secret
from .reading import OUR_OWN, Reading, read_tables
from .writing import write_models

__all__ = ["OUR_OWN", "Reading", "inspect_database", "looks_secret", "read_tables", "write_models"]


async def inspect_database(
    db: Database,
    *,
    schemas: bool = False,
    only: Collection[str] = (),
    schema: str | None = None,
) -> str:
    """Return a module with a model for each table of a database.

    Args:
        db: The database.
        schemas: Whether to write the five classes of each table: base, table, create, update and
            public.
        only: The tables to read, with those that they refer to; left out, all.
        schema: A schema of PostgreSQL; left out, the one that unqualified names mean.

    Raises:
        ConfigError: There are no tables, one that was named is missing, or the extra `inspect`
            is not installed.
        Unavailable: The server does not answer.
    """

    def written(connection: Connection) -> str:
        return write_models(read_tables(connection, only=only, schema=schema), schemas=schemas)

    with translating():
        async with db.engine.connect() as connection:
            return await connection.run_sync(written)
