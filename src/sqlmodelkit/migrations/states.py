"""Where a database stands among the migrations: current, heads, history, pending.

Start at `current` and `history`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from alembic import command
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
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
    """Where a database is: its revisions, the newest there are, and what lies between.

    `unknown` are those of its revisions that are not among the migrations: newer code has run them.
    """

    current: tuple[str, ...]
    heads: tuple[str, ...]
    pending: tuple[Revision, ...]
    unknown: tuple[str, ...] = ()

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
        ConfigError: There are no migrations.
        Unavailable: It does not answer.
    """
    scripts = scripts_of(schema)
    async with connected(schema.settings, reading=True) as connection:
        at = await heads_in(connection)
    unknown = unknown_in(scripts, at)
    known = tuple(each for each in at if each not in unknown)
    # What a revision follows that nobody knows is not known either.
    pending = (
        [
            _told(script, applied=False)
            for script in scripts.iterate_revisions("heads", known or "base")
        ]
        if known or not unknown
        else []
    )
    return State(at, tuple(sorted(scripts.get_heads())), tuple(reversed(pending)), unknown)


def unknown_in(scripts: ScriptDirectory, at: Sequence[str]) -> tuple[str, ...]:
    """Return those revisions of a database that are not among the migrations."""
    names = {script.revision for script in scripts.walk_revisions()}
    return tuple(each for each in at if each not in names)


async def history(schema: Schema) -> list[Revision]:
    """Return all migrations, the newest first, and whether the database has them.

    That is None for all when the database is at a revision that is not among them.

    Raises:
        ConfigError: There are no migrations.
        Unavailable: It does not answer.
    """
    state = await current(schema)
    pending = {each.revision for each in state.pending}
    return [
        _told(script, applied=None if state.unknown else script.revision not in pending)
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
