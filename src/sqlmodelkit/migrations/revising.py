"""New migrations, from the difference between models and database.

Start at `revision`. Nothing that holds data goes away unless it was named.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from alembic import command
from alembic.operations import MigrateOperation, Operations, ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection

from sqlmodelkit.errors import ConfigError

from .asking import Asked, granted
from .conversions import RenameColumn, RenameTableOp
from .cycles import with_keys_after
from .enumerations import refuse_unreadable, with_enums
from .environment import Run, config_of, connected, on_connection, scripts_of, speaking
from .filling import filled, refilled
from .ordering import arranged, with_keys_apart, without_needless
from .place import Schema
from .rendering import tidy
from .reviewing import Note, review
from .running import upgrade
from .scratch import scratch
from .states import heads_in


@dataclass(frozen=True, slots=True)
class Written:
    """A new migration: its file, its name, and what a person should look at."""

    path: Path
    revision: str
    notes: tuple[Note, ...]


async def revision(
    schema: Schema,
    message: str,
    *,
    drop: Sequence[str] = (),
    rename: Mapping[str, str] | None = None,
    fill: Mapping[str, str] | None = None,
    empty: bool = False,
) -> Written | None:
    """Write a migration from the database to the models; None when they are alike.

    Args:
        schema: What the migrations are about.
        message: What it does, in a few words.
        drop: Tables and columns that may go away with what is in them, as `hero`, `hero.name`.
        rename: Tables and columns with another name, as `{"hero.name": "title"}`.
        fill: What a column holds in rows that have nothing for it, as `{"hero.age": "0"}`.
        empty: Write a migration without steps, to be filled in by hand.

    Raises:
        ConfigError: A table or column would go away that was not named; a column needs a value
            for the rows that are there; the database is not at the newest migration.
        Unavailable: The database does not answer.
    """
    scripts = scripts_of(schema)
    if len(scripts.get_heads()) > 1:
        raise ConfigError(
            f"There are several heads: {', '.join(sorted(scripts.get_heads()))}.",
            hint="Run sqlmodelkit db merge.",
        )
    names = dict(rename or {})
    # A column of a table with another name may be called by either.
    given = tuple(_by_new_name(name, names) for name in drop)
    filling = {_by_new_name(name, names): value for name, value in (fill or {}).items()}
    asked = Asked(given, names, filling)
    if empty:
        script = await _empty(schema, message)
        return Written(Path(script.path), script.revision, ())
    async with AsyncExitStack() as stack:
        settings = schema.settings
        if asked.rename:
            # The names change on a copy, and then it is compared like any other database.
            settings = await stack.enter_async_context(scratch(schema.settings))
            await upgrade(replace(schema, settings=settings))
        connection = await stack.enter_async_context(connected(settings))
        if set(await heads_in(connection)) != set(scripts.get_heads()):
            raise ConfigError(
                "The database is not at the newest migration.",
                hint="Run sqlmodelkit db upgrade first; or db stamp, if its tables were made "
                "without migrations.",
            )
        draft = Draft(schema, asked)
        if asked.rename:
            await connection.run_sync(draft.rename)
            await connection.commit()
        script = await on_connection(
            connection,
            lambda config: command.revision(
                config, message, autogenerate=True, process_revision_directives=draft.shape
            ),
            schema,
        )
    if script is None or isinstance(script, list):
        return None
    await asyncio.to_thread(tidy, Path(script.path))
    return Written(Path(script.path), script.revision, draft.notes)


def _by_new_name(name: str, rename: Mapping[str, str]) -> str:
    table, dot, column = name.partition(".")
    return f"{rename.get(table, table)}.{column}" if dot else name


async def _empty(schema: Schema, message: str) -> Any:
    with speaking():
        return command.revision(config_of(Run(schema)), message)


class Draft:
    """A migration while it takes shape."""

    def __init__(self, schema: Schema, asked: Asked) -> None:
        """Prepare one that does what was asked for."""
        self.notes: tuple[Note, ...] = ()
        self._schema = schema
        self._asked = asked
        self._renames: list[MigrateOperation] = []

    def rename(self, connection: Connection) -> None:
        """Rename on a copy of the database what was asked for."""
        operations = Operations(MigrationContext.configure(connection))
        for old, new in self._asked.rename.items():
            table, dot, column = old.partition(".")
            step: MigrateOperation = (
                RenameColumn(table, column, new) if dot else RenameTableOp(table, new)
            )
            operations.invoke(step)
            self._renames.append(step)

    def shape(self, context: Any, revisions: Any, scripts: list[Any]) -> None:
        """Make of Alembic's steps those of a migration that keeps the data."""
        script = scripts[0]
        if script.upgrade_ops is None:
            return
        steps = granted(script.upgrade_ops.ops, self._asked)
        steps = self._renames + arranged(steps, context.bind)
        refuse_unreadable(self._schema.metadata, context.bind)
        steps = with_enums(steps, self._schema.metadata, context.bind)
        if not steps:
            scripts.clear()
            return
        undo = ops.UpgradeOps(steps).reverse().ops
        script.upgrade_ops.ops = without_needless(filled(steps, self._asked, self._schema.metadata))
        script.downgrade_ops.ops = without_needless(
            refilled(with_keys_apart(with_keys_after(undo), context.bind))
        )
        self.notes = review(steps)
        context.impl.dialect = _writing(context.dialect)


def _writing(dialect: Any) -> Any:
    """Return a dialect that writes SQL as it is: MySQL's drivers have each % doubled."""
    if dialect.name not in ("mysql", "mariadb"):
        return dialect
    return type(dialect)(paramstyle="named", is_mariadb=dialect.is_mariadb)
