"""Whether models, migrations and database agree.

Start at `check`.
"""

from dataclasses import dataclass, replace
from typing import Any

from alembic.autogenerate import produce_migrations
from sqlalchemy import Connection

from .asking import retyped
from .enumerations import with_enums
from .environment import connected, context_of, scripts_of, speaking
from .ordering import arranged
from .place import Schema
from .reviewing import Note, review
from .running import upgrade
from .scratch import scratch
from .states import heads_in, unknown_in


@dataclass(frozen=True, slots=True)
class Drift:
    """What differs: an empty one is as it should be.

    Attributes:
        heads: More than one newest migration.
        pending: Newest migrations that the database has not.
        database: What would have to be done to make the database what the models say.
        migrations: What would have to be done after all migrations; None when nobody asked.
        unknown: Revisions that the database is at, and that are not among the migrations.
    """

    heads: tuple[str, ...] = ()
    pending: tuple[str, ...] = ()
    database: tuple[Note, ...] = ()
    migrations: tuple[Note, ...] | None = None
    unknown: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.heads or self.pending or self.database or self.migrations or self.unknown)


async def check(schema: Schema, *, migrations: bool = True) -> Drift:
    """Compare models with the database, and with what all migrations make of an empty one.

    Args:
        schema: What the migrations are about.
        migrations: Whether to run all migrations on an empty database beside the real one.

    Raises:
        ConfigError: A migration fails, or no database can be made to try them.
        Unavailable: The database does not answer.
    """
    scripts = scripts_of(schema)
    newest = tuple(scripts.get_heads())
    async with connected(schema.settings, reading=True) as connection:
        at = await heads_in(connection)
        found = await connection.run_sync(lambda sync: differences(sync, schema))
    anew = None
    if migrations and len(newest) < 2:
        async with scratch(schema.settings) as settings:
            tried = replace(schema, settings=settings)
            await upgrade(tried)
            async with connected(settings) as connection:
                anew = await connection.run_sync(lambda sync: differences(sync, schema))
    unknown = unknown_in(scripts, at)
    pending = tuple(name for name in newest if name not in at and not unknown)
    return Drift(newest if len(newest) > 1 else (), pending, found, anew, unknown)


def differences(connection: Connection, schema: Schema) -> tuple[Note, ...]:
    """Return what would have to be done to a database to make it what the models say."""
    with speaking():
        found: Any = produce_migrations(context_of(connection, schema), schema.metadata)
        steps = arranged(retyped(found.upgrade_ops.ops), connection)
        return review(with_enums(steps, schema.metadata, connection))
