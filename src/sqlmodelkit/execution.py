"""How a plan is run: its statements sent, and what comes back put together. Ring 6.

Start at `Reader`.
"""

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from pydantic import BaseModel
from sqlalchemy import ColumnElement, Dialect, Select, func, select
from sqlalchemy.exc import DBAPIError
from sqlmodel import SQLModel

from .columns import cached, key_of, row_key
from .drivers import is_locked
from .errors import ConfigError, Locked
from .keysets import marks
from .plan import Collection as Children
from .plan import (
    Fetch,
    Plan,
    Spare,
    gathers,
    json_items,
    json_lines,
    json_select,
    row_options,
    source_of,
)
from .selection import Lock, Selection
from .sessions import AsyncSession, translating
from .statements import Compiled, Latest, compile_statement
from .units import UnitOfWork
from .wires import SessionWire, Wire

P = TypeVar("P", bound=BaseModel)
R = TypeVar("R")

Source = SQLModel | dict[str, Any]
"""What a response is made from: a table row, or its values."""


@dataclass(frozen=True, slots=True)
class Marked(Generic[R]):
    """Rows in some form, and the place of each in their order, as the values it is sorted by."""

    places: Sequence[tuple[Any, ...]]
    rows: Sequence[R]

    def cut(self, number: int) -> "Marked[R]":
        """Return the first of them."""
        return Marked(self.places[:number], self.rows[:number])

    def turned(self) -> "Marked[R]":
        """Return them from the last to the first."""
        return Marked(self.places[::-1], self.rows[::-1])


@cached
def _marked(fetch: Fetch, order: tuple[str, ...], dialect: str) -> Fetch:
    """Return the same statement with the places of its rows, which it answers as their keys."""
    width = len(fetch.columns)
    places = marks(fetch.model, order, dialect)
    return replace(fetch, columns=(*fetch.columns, *places), key=lambda row: tuple(row[width:]))


class Reader:
    """Reads selections in a unit of work.

    Attributes:
        unit: The unit of work.
        statements: What has been compiled before, by what tells statements apart.
    """

    def __init__(self, unit: UnitOfWork, statements: Latest[Compiled]) -> None:
        self.unit = unit
        self.statements = statements

    async def rows(
        self, selection: Selection, load: Collection[str], *, lock: Lock = False
    ) -> list[tuple[Any, Any]]:
        """Read table rows with exactly the relations named; answer key and row of each."""
        model = selection.model
        statement = selection.select().options(*row_options(model, load))
        if lock:
            statement = _locking(statement, model, lock)
        with translating():
            try:
                return await _table_rows(self.unit.session, statement, selection)
            except DBAPIError as error:
                if lock == "nowait" and is_locked(error):
                    raise _locked(model) from error
                raise

    async def responses(self, selection: Selection, plan: Plan[P]) -> list[tuple[Any, P]]:
        """Read response models; answer key and response of each row."""
        with translating():
            return [
                (key, plan.build(source)) for key, source in await self._sources(selection, plan)
            ]

    async def json(
        self,
        selection: Selection,
        plan: Plan[Any],
        spare: Spare = "both",
        *,
        counted: bool = False,
    ) -> tuple[int, bytes, int | None]:
        """Read responses as JSON.

        Args:
            selection: Which ones.
            plan: How.
            spare: Whose time is spared.
            counted: Whether it is worth something to know how many rows match in all.

        Returns:
            How many there are, the array of them, and how many match in all where the same
            statement has told.
        """
        with translating():
            if self._by_objects(plan):
                rows = await self._objects(selection, plan)
                return len(rows), plan.print_all([plan.build(row) for _, row in rows]), None
            # One row costs about the same either way.
            if spare == "application" or (spare == "both" and selection.part is not None):
                printed = await self._printed(selection, plan, spare, counted=counted)
                if printed is not None:
                    return printed
            _, items = await self._items(selection, plan)
            return len(items), plan.dump(items), None

    def _by_objects(self, plan: Plan[Any]) -> bool:
        # Criteria that an application adds to a session's statements reach what is loaded, but
        # need not reach the aliases of a plan's own statements.
        return plan.path == "objects" or self.unit.overseen

    async def marked_rows(self, selection: Selection, load: Collection[str]) -> "Marked[SQLModel]":
        """Read table rows with exactly the relations named, and the place of each."""
        model = selection.model
        statement = selection.select().add_columns(*selection.marks())
        loose: Any = statement.options(*row_options(model, load))
        with translating():
            # What the session knows of a row may be older than the order it is read in.
            result: Any = await self.unit.session.exec(loose, params=selection.values)
            rows = result.all()
        return Marked([row[1:] for row in rows], [row[0] for row in rows])

    async def marked(self, selection: Selection, plan: Plan[Any]) -> "Marked[Source]":
        """Read what responses are made from, and the place of each."""
        with translating():
            name = ("marked", plan.response)
            if self._by_objects(plan):
                async with self.unit.aside() as session:
                    fetch = plan.watched_entities if self.unit.overseen else plan.entities
                    fetch = _marked(fetch, selection.sort or (), selection.dialect)
                    found, nodes = await self._built(SessionWire(session), selection, fetch, name)
                    return Marked(list(found), [source_of(node) for node in nodes])
            fetch = _marked(plan.fetch, selection.sort or (), selection.dialect)
            async with self.unit.wire(compiled=selection.key is not None) as wire:
                found, items = await self._built(wire, selection, fetch, name)
                return Marked(list(found), items)

    async def marked_lines(
        self, selection: Selection, plan: Plan[Any], spare: Spare = "both"
    ) -> "Marked[bytes]":
        """Read each response as JSON, and its place."""
        printed = await self.printed(selection, plan, spare)
        if printed is not None:
            return printed
        found = await self.marked(selection, plan)
        with translating():
            return Marked(found.places, [plan.line(source) for source in found.rows])

    async def printed(
        self, selection: Selection, plan: Plan[Any], spare: Spare = "both"
    ) -> "Marked[bytes] | None":
        """Let the database print each response; None where it cannot, or should not."""
        name, version = self.unit.server
        if self._by_objects(plan) or not version:
            return None
        if plan.json_path(name, version, spare=spare) != "bytes":
            return None
        places = selection.marks()
        with translating():
            async with self.unit.wire(compiled=selection.key is not None) as wire:
                rows = await self._fetch(
                    wire,
                    selection,
                    (),
                    lambda base: json_lines(plan.shape, base, name, places),
                    ("lines", plan.response),
                )
        if any(row[0] is None for row in rows):
            return None
        return Marked([tuple(row[1:]) for row in rows], [row[0].encode() for row in rows])

    async def count_up_to(self, selection: Selection, most: int) -> int:
        """Count the rows, and stop after `most` of them."""
        key = [getattr(selection.model, name) for name in key_of(selection.model)]
        part = selection.cut(most)
        with translating():
            async with self.unit.wire(compiled=part.key is not None) as wire:
                rows = await self._fetch(
                    wire,
                    part,
                    (func.count(),),
                    lambda base: select(func.count()).select_from(
                        base.with_only_columns(*key).subquery()
                    ),
                    "count up to",
                )
        return int(rows[0][0])

    async def estimate(self, selection: Selection) -> int | None:
        """Ask PostgreSQL's planner how many rows there are; None where it cannot be asked."""
        if self.unit.dialect != "postgresql" or selection.key is None:
            return None
        key = [getattr(selection.model, name) for name in key_of(selection.model)]
        matching: Any = selection.select()
        with translating():
            async with self.unit.wire() as wire:
                if not wire.compiled:
                    return None
                compiled = self.statements.get(
                    (wire.dialect, "estimate", selection.key),
                    lambda: _explained(
                        selection.scope(matching.with_only_columns(*key)), wire.dialect
                    ),
                )
                found: Any = (await wire.fetch(compiled, selection.values))[0][0]
        said = json.loads(found) if isinstance(found, str) else found
        return int(said[0]["Plan"]["Plan Rows"])

    async def value(self, selection: Selection, column: ColumnElement[Any]) -> Any:
        """Read one value in place of the rows; None when no row matches."""
        with translating():
            async with self.unit.wire(compiled=selection.key is not None) as wire:
                rows = await self._fetch(
                    wire,
                    selection,
                    (column,),
                    lambda base: base.with_only_columns(column, maintain_column_froms=True),
                    str(column),
                )
                return rows[0][0] if rows else None

    async def table(
        self,
        selection: Selection,
        build: Callable[[Select[Any]], Select[Any]],
        name: object,
    ) -> Sequence[Sequence[Any]]:
        """Read what `build` makes of the selection; `name` tells it from others."""
        with translating():
            async with self.unit.wire(compiled=selection.key is not None) as wire:
                return await self._fetch(wire, selection, None, build, name)

    async def _printed(
        self, selection: Selection, plan: Plan[Any], spare: Spare, *, counted: bool
    ) -> tuple[int, bytes, int | None] | None:
        """Let the database print the responses; None where it cannot, or should not."""
        name, version = self.unit.server
        one = selection.part is None
        # The version is known from the first connection on.
        if not version or plan.json_path(name, version, spare=spare, one=one) != "bytes":
            return None
        counted = counted and gathers(name)

        def build(base: Select[Any]) -> Select[Any]:
            total = selection.total() if counted else None
            return json_select(plan.shape, base, name, total=total)

        async with self._unseen(selection) as wire:
            rows = await self._fetch(wire, selection, (), build, ("bytes", counted, plan.response))
        printed = json_items(rows)
        if printed is None:
            return None
        return printed[0], b"[%b]" % printed[1], rows[0][2] if counted else None

    async def _sources(self, selection: Selection, plan: Plan[Any]) -> Iterable[tuple[Any, Source]]:
        """Read what responses are made from; answer key and that of each row."""
        if self._by_objects(plan):
            return await self._objects(selection, plan)
        keys, items = await self._items(selection, plan)
        return zip(keys, items, strict=True)

    async def _objects(self, selection: Selection, plan: Plan[Any]) -> list[tuple[Any, Any]]:
        """Load table rows for responses; answer key and row of each."""
        # They are partly loaded: a session of their own keeps them, and what happens to be in
        # the unit's session, apart. All is loaded when it closes.
        async with self.unit.aside() as session:
            fetch = plan.watched_entities if self.unit.overseen else plan.entities
            wire = SessionWire(session)
            keys, nodes = await self._built(wire, selection, fetch, plan.response)
            return [(key, source_of(node)) for key, node in zip(keys, nodes, strict=True)]

    async def _items(
        self, selection: Selection, plan: Plan[Any]
    ) -> tuple[Iterable[Any], Sequence[dict[str, Any]]]:
        """Read what responses are made from; answer the keys of the rows, and that."""
        async with self._unseen(selection) as wire:
            return await self._built(wire, selection, plan.fetch, plan.response)

    def _unseen(self, selection: Selection) -> AbstractAsyncContextManager[Wire]:
        """Give a wire to who knows that nobody oversees the unit of work."""
        return self.unit.wire(compiled=selection.key is not None, overseen=False)

    async def _built(
        self, wire: Wire, selection: Selection, fetch: Fetch, name: object
    ) -> tuple[Iterable[Any], Sequence[Any]]:
        """Run the statements of a plan; answer the keys of the rows, and what is built of them."""
        groups = fetch.groups()
        rows = await self._fetch(wire, selection, fetch.columns, fetch.select, name)
        built = fetch.build(rows, groups)
        for children, lists in zip(fetch.collections, groups, strict=True):
            await self._fill(wire, selection, children, lists)
        return map(fetch.key, rows), built

    async def _fetch(
        self,
        wire: Wire,
        selection: Selection,
        columns: Sequence[Any] | None,
        build: Callable[[Select[Any]], Select[Any]],
        name: object,
    ) -> Sequence[Sequence[Any]]:
        """Run what `build` makes of the selection; its form is compiled once, where it can be.

        Without `columns`, they are taken from the statement.
        """

        def statement() -> Select[Any]:
            return selection.scope(build(selection.select()))

        def compiled() -> Compiled:
            made = statement()
            shown = list(made.selected_columns) if columns is None else columns
            return compile_statement(made, wire.dialect, shown)

        form = selection.key
        if form is None or not wire.compiled:
            return await wire.fetch(statement(), selection.values)
        known = self.statements.get((wire.dialect, name, form), compiled)
        return await wire.fetch(known, selection.values)

    async def _fill(
        self, wire: Wire, selection: Selection, children: Children, lists: dict[Any, Any]
    ) -> None:
        """Read the collections of many parents, and those below them."""
        inner = children.fetch.groups()
        keys = list(lists)
        while keys:
            size = children.size(len(keys), wire.dialect.name)
            part = keys[: size or None]
            keys = keys[len(part) :]
            statement = self._children(wire, selection, children, size)
            values = {**children.values(part, size), **selection.limits.parameters}
            children.fill(await wire.fetch(statement, values), lists, inner)
        for further, further_lists in zip(children.fetch.collections, inner, strict=True):
            await self._fill(wire, selection, further, further_lists)

    def _children(
        self, wire: Wire, selection: Selection, children: Children, size: int
    ) -> Compiled | Select[Any]:
        if not wire.compiled:
            return selection.scope(children.select(size))
        return self.statements.get(
            (wire.dialect, children, size, selection.include_deleted, selection.limits.form),
            lambda: compile_statement(
                selection.scope(children.select(size)), wire.dialect, children.columns
            ),
        )


def _explained(statement: Select[Any], dialect: Dialect) -> Compiled:
    compiled = compile_statement(statement, dialect, ())
    return replace(compiled, text=f"EXPLAIN (FORMAT JSON) {compiled.text}", results=())


def _locking(statement: Select[Any], model: type[SQLModel], lock: Lock) -> Select[Any]:
    if lock not in (True, "nowait", "skip_locked"):
        raise ConfigError(
            f"There is no lock {lock!r}.", hint='Say True, "nowait" or "skip_locked".'
        )
    locking = statement.with_for_update(
        of=model, nowait=lock == "nowait", skip_locked=lock == "skip_locked"
    )
    # What was read before the lock was given may have changed since.
    return locking.execution_options(populate_existing=True)


def _locked(model: type[SQLModel]) -> Locked:
    return Locked(
        f"A row of {model.__name__} is held by somebody else.",
        hint="Try again later, or leave such rows out with lock='skip_locked'.",
    )


async def _table_rows(
    session: AsyncSession, statement: Select[Any], selection: Selection
) -> list[tuple[Any, Any]]:
    # SQLModel's `exec` is typed for its own select; for SQLAlchemy's it answers a Result.
    loose: Any = statement
    result: Any = await session.exec(loose, params=selection.values)
    key = row_key(selection.model)
    return [(key(row), row) for row in result.scalars()]
