"""How many rows are read one after the other: pages that follow a row, and streams. Ring 8.

Nothing is counted and nothing skipped: what follows begins after the values that the last row was
sorted by. So rows that are there throughout come once each, whatever others add and remove. Start
at `Walks`.
"""

from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from pydantic import BaseModel
from sqlalchemy import and_, true

from .cursors import Place, Seal, fingerprint
from .execution import Marked
from .filters import Filter
from .keysets import check_place
from .pages import DEFAULT_LIMIT, CursorPage, check_page
from .reads import MAX_ROWS, ModelT, P, Reads
from .selection import Selection
from .units import UnitOfWork

R = TypeVar("R")

BATCH = 500


class Walks(Reads[ModelT]):
    """Adds to `Reads` what goes through rows in their order, however many there are."""

    @overload
    async def cursor_page(
        self,
        *filters: Filter,
        into: type[P],
        sort: str | Sequence[str] | None = None,
        limit: int = DEFAULT_LIMIT,
        cursor: str | None = None,
        include_deleted: bool = False,
        **conditions: Any,
    ) -> CursorPage[P]: ...
    @overload
    async def cursor_page(
        self,
        *filters: Filter,
        sort: str | Sequence[str] | None = None,
        limit: int = DEFAULT_LIMIT,
        cursor: str | None = None,
        load: Collection[str] = (),
        include_deleted: bool = False,
        **conditions: Any,
    ) -> CursorPage[ModelT]: ...
    async def cursor_page(
        self,
        *filters: Filter,
        into: type[BaseModel] | None = None,
        sort: str | Sequence[str] | None = None,
        limit: int = DEFAULT_LIMIT,
        cursor: str | None = None,
        load: Collection[str] = (),
        include_deleted: bool = False,
        **conditions: Any,
    ) -> CursorPage[Any]:
        """Return the rows at a cursor, with the cursors of the next page and of the previous one.

        Args:
            filters: Conditions, joined by AND.
            into: The response model of the items.
            sort: Field names, `-` before those that descend: `"-price,name"`.
            limit: The most rows, 1 to 1,000.
            cursor: `next` or `previous` of another page of the same list; left out, the first page.
            load: Relations to load when there is no `into`.
            include_deleted: Show soft-deleted rows too.
            conditions: Conditions by keyword.

        Raises:
            CursorError: The cursor was altered, or is one of another sort or other filters.
            PageError: The limit is out of bounds.
            FilterError: A field or operator is unknown, or a value does not fit.
            SortError: A field cannot be sorted by, or a row has too long a text in it.
            ConfigError: There is no secret to seal cursors with.
        """
        selection = self._select(filters, conditions, include_deleted)
        walk = _Walk.at(self._unit, selection, sort, limit=limit, cursor=cursor)
        if into is None:
            rows, following, before = walk.page(
                await self._reader.marked_rows(walk.selection, load)
            )
            items: list[Any] = list(rows)
        else:
            plan = self.plan(into)
            sources, following, before = walk.page(await self._reader.marked(walk.selection, plan))
            items = [plan.build(source) for source in sources]
        return CursorPage[Any].model_construct(
            items=items, limit=limit, next=following, previous=before
        )

    async def cursor_page_json(
        self,
        *filters: Filter,
        into: type[BaseModel],
        sort: str | Sequence[str] | None = None,
        limit: int = DEFAULT_LIMIT,
        cursor: str | None = None,
        include_deleted: bool = False,
        **conditions: Any,
    ) -> bytes:
        """Return what `cursor_page` returns, as the JSON that FastAPI would answer for it.

        Raises:
            CursorError, PageError, FilterError, SortError, ConfigError: As `cursor_page`.
        """
        plan = self.plan(into)
        if type(self).cursor_page is not Walks.cursor_page:
            page = await self.cursor_page(
                *filters,
                into=into,
                sort=sort,
                limit=limit,
                cursor=cursor,
                include_deleted=include_deleted,
                **conditions,
            )
            items, limit = plan.print_all(page.items), page.limit
            following, before = page.next, page.previous
        else:
            selection = self._select(filters, conditions, include_deleted)
            walk = _Walk.at(self._unit, selection, sort, limit=limit, cursor=cursor)
            printed = await self._reader.printed(walk.selection, plan, self.spare)
            if printed is not None:
                lines, following, before = walk.page(printed)
                items = b"[%b]" % b",".join(lines)
            else:
                found = await self._reader.marked(walk.selection, plan)
                sources, following, before = walk.page(found)
                items = plan.dump_all(sources)
        return b'{"items":%b,"limit":%d,"next":%b,"previous":%b}' % (
            items,
            limit,
            _quoted(following),
            _quoted(before),
        )

    async def stream(
        self,
        *filters: Filter,
        into: type[P],
        sort: str | Sequence[str] | None = None,
        batch: int = BATCH,
        include_deleted: bool = False,
        **conditions: Any,
    ) -> AsyncIterator[P]:
        """Yield all rows that match, however many, in their order and in constant memory.

        They are read in batches; where the unit of work only reads, no connection is held between
        two of them. A row that is there throughout comes exactly once, whatever is added or
        removed meanwhile, unless what it is sorted by changes.

        Args:
            filters: Conditions, joined by AND.
            into: The response model.
            sort: Field names, `-` before those that descend; left out, the order of the key.
            batch: How many rows are read at a time, 1 to 1,000.
            include_deleted: Show soft-deleted rows too.
            conditions: Conditions by keyword.

        Raises:
            FilterError: A field or operator is unknown, or a value does not fit.
            SortError: A field cannot be sorted by.
            PageError: The batch is out of bounds.
        """
        plan = self.plan(into)
        place: Place | None = None
        selection = self._walked(filters, conditions, sort, batch, include_deleted)
        while True:
            found = await self._reader.marked(selection.following(place), plan)
            for source in found.rows:
                yield plan.build(source)
            if len(found.rows) < batch:
                return
            place = Place(found.places[-1])

    async def stream_json(
        self,
        *filters: Filter,
        into: type[BaseModel],
        sort: str | Sequence[str] | None = None,
        batch: int = BATCH,
        include_deleted: bool = False,
        **conditions: Any,
    ) -> AsyncIterator[bytes]:
        """Yield what `stream` yields as JSON Lines, the lines of a batch at a time.

        Raises:
            FilterError, SortError, PageError: As `stream`.
        """
        plan = self.plan(into)
        place: Place | None = None
        selection = self._walked(filters, conditions, sort, batch, include_deleted)
        while True:
            part = selection.following(place)
            found = await self._reader.marked_lines(part, plan, self.spare)
            if found.rows:
                yield b"".join(line + b"\n" for line in found.rows)
            if len(found.rows) < batch:
                return
            place = Place(found.places[-1])

    def _walked(
        self,
        filters: Sequence[Filter],
        conditions: dict[str, Any],
        sort: str | Sequence[str] | None,
        batch: int,
        include_deleted: bool,
    ) -> Selection:
        check_page(batch, 0, max_limit=MAX_ROWS)
        return self._select(filters, conditions, include_deleted).walked(sort).cut(batch)


@dataclass(frozen=True, slots=True)
class _Walk:
    """A page at a place.

    Attributes:
        seal: What its cursors are sealed with.
        bound: What they are good for.
        order: What the rows are sorted by, read forward.
        selection: The rows of the page, in the direction they are read in, and one more.
        place: Where they begin; None is the start.
    """

    seal: Seal
    bound: bytes
    order: tuple[str, ...]
    selection: Selection
    limit: int
    place: Place | None

    @classmethod
    def at(
        cls,
        unit: UnitOfWork,
        selection: Selection,
        sort: str | Sequence[str] | None,
        *,
        limit: int,
        cursor: str | None,
    ) -> "_Walk":
        check_page(limit, 0, max_limit=MAX_ROWS)
        # Asked for at once: a list should not fail on the day that it grows past its first page.
        seal, forward = unit.seal, selection.walked(sort)
        bound = _bound(unit, forward)
        place = None if cursor is None else seal.open(cursor, bound)
        backward = place is not None and place.backward
        walked = selection.walked(sort, backward=True) if backward else forward
        selection = walked.following(place).cut(limit + 1)
        return cls(seal, bound, forward.sort or (), selection, limit, place)

    def page(self, found: Marked[R]) -> tuple[Sequence[R], str | None, str | None]:
        """Return the rows in the list's order, and the cursors of the next and the previous page."""
        place, more, kept = self.place, len(found.rows) > self.limit, found.cut(self.limit)
        backward = place is not None and place.backward
        if backward:
            kept = kept.turned()
        following = before = None
        if more or backward:
            following = self._cursor(kept.places[-1:], backward=False)
        if place is not None and (more or not backward):
            before = self._cursor(kept.places[:1], backward=True)
        return kept.rows, following, before

    def _cursor(self, row: Sequence[tuple[Any, ...]], *, backward: bool) -> str:
        """Return the cursor of what lies beyond a row; where none is left, beyond this place."""
        if row:
            beyond = Place(row[0], backward=backward)
        else:
            # The other way from the place: with its row, when that was left out, or without.
            place = self.place or Place(())
            beyond = Place(place.values, backward=backward, inclusive=not place.inclusive)
        check_place(self.order, beyond.values, self.selection.dialect)
        return self.seal.close(beyond, self.bound)


def _bound(unit: UnitOfWork, selection: Selection) -> bytes:
    """Return what a cursor is good for: the same rows in the same order, in the same scope."""
    model, filters, limits = selection.model, selection.filters, selection.limits
    form: Any = filters.key
    said: tuple[Any, ...] = (form, filters.values)
    if form is None:
        whole = and_(true(), *filters.expressions(inline=True))
        compiled = whole.compile(dialect=unit.engine.dialect)
        said = (str(compiled), compiled.params)
    scope = (limits.parameters, sorted(limits.leaving))
    name = (model.__name__, str(model.__tablename__))
    return fingerprint(name, selection.sort, selection.include_deleted, said, scope)


def _quoted(cursor: str | None) -> bytes:
    return b"null" if cursor is None else b'"%b"' % cursor.encode()
