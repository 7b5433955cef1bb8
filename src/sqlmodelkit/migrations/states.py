"""Where a database stands among the migrations: current, heads, history, pending.

Start at `current` and `history`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from alembic import command
from alembic.runtime.migration import MigrationContext
from alembic.script import Script
from sqlalchemy.ext.asyncio import AsyncConnection

from sqlmodelkit.errors import ConfigError

from .environment import Run, config_of, connected, scripts_of, speaking
from .place import Schema


@dataclass(frozen=True, slots=True)
class Revision:
    """A migration: its name, what it says, what it follows, and whether it is applied."""

    revision: str
    message: str
    follows: tuple[str, ...]
    path: str
    is_head: bool
    applied: bool | None = None


@dataclass(frozen=True, slots=True)
class State:
    """Where a database is: its revisions, the newest there are, and what lies between."""

    current: tuple[str, ...]
    heads: tuple[str, ...]
    pending: tuple[Revision, ...]

    @property
    def at_head(self) -> bool:
        """Whether nothing is left to run."""
        return set(self.current) == set(self.heads)


async def heads_in(connection: AsyncConnection) -> tuple[str, ...]:
    """Return the revisions that a database says it is at."""
    found = await connection.run_sync(
        lambda sync: MigrationContext.configure(sync).get_current_heads()
    )
    await connection.rollback()
    return tuple(found)


async def current(schema: Schema) -> State:
    """Tell where the database is.

    Raises:
        ConfigError: It is at a revision that is not among the migrations.
        Unavailable: It does not answer.
    """
    scripts = scripts_of(schema)
    async with connected(schema.settings, reading=True) as connection:
        at = await heads_in(connection)
    with speaking():
        known = tuple(scripts.get_revision(each).revision for each in at)
        pending = [
            _told(script, applied=False)
            for script in scripts.iterate_revisions("heads", known or "base")
        ]
    return State(at, tuple(sorted(scripts.get_heads())), tuple(reversed(pending)))


async def history(schema: Schema) -> list[Revision]:
    """Return all migrations, the newest first, and whether the database has them.

    Raises:
        ConfigError: The database is at a revision that is not among them.
        Unavailable: It does not answer.
    """
    pending = {each.revision for each in (await current(schema)).pending}
    return [
        _told(script, applied=script.revision not in pending)
        for script in scripts_of(schema).walk_revisions()
    ]


def heads(schema: Schema) -> list[Revision]:
    """Return the migrations that no other one follows: one, unless two people worked apart.

    Raises:
        ConfigError: There are no migrations.
    """
    scripts = scripts_of(schema)
    return [_told(script) for script in scripts.get_revisions(sorted(scripts.get_heads()))]


def merge(schema: Schema, *, message: str = "merge") -> Revision:
    """Write a migration that follows all heads, so that there is one again.

    Raises:
        ConfigError: There is one head only.
    """
    names = sorted(scripts_of(schema).get_heads())
    if len(names) < 2:
        raise ConfigError("There is one head, nothing to merge.", hint="Run sqlmodelkit db heads.")
    with speaking():
        script = command.merge(config_of(Run(schema)), names, message=message)
    if script is None:
        raise ConfigError("No migration was written.")
    return _told(script)


def _told(script: Script, *, applied: bool | None = None) -> Revision:
    follows: Sequence[str] | str | None = script.down_revision
    if isinstance(follows, str):
        follows = (follows,)
    return Revision(
        script.revision,
        script.doc,
        tuple(follows or ()),
        script.path,
        script.is_head,
        applied,
    )
