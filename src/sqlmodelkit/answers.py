"""What is read, as the JSON of answers: one row, some, a page, or a stream of all. Ring 8.

Start at `Answers`.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Any, ClassVar

from pydantic import BaseModel

from .execution import Reader
from .explaining import Explaining
from .filters import Filter
from .pages import DEFAULT_LIMIT, Count, check_page
from .plan import Plan, Spare
from .reads import MAX_ROWS, ModelT, P, Reads, part_of, whole

BATCH = 500


class Answers(Reads[ModelT]):
    """Adds to `Reads` what FastAPI would answer, printed by the plan without the models.

    Attributes:
        spare: Whose time is spared where the database can print the JSON itself: that of `both`
            together, or rather of the `application` or of the `database`.
    """

    spare: ClassVar[Spare] = "both"

    async def get_json(
        self, key: Any, *, into: type[BaseModel], include_deleted: bool = False
    ) -> bytes:
        """Return the row with this key as the JSON that FastAPI would answer for `into`.

        Raises:
            NotFound: There is none.
        """
        plan = self.plan(into)
        if type(self).get is not Reads.get:
            return plan.print(await self.get(key, into=into, include_deleted=include_deleted))
        selection = self._select_key(key, include_deleted)
        number, array, _ = await self._reader.json(selection, plan, self.spare)
        if number == 0:
            raise self._not_found(key)
        return array[1:-1]

    async def all_json(
        self,
        *filters: Filter,
        into: type[BaseModel],
        sort: str | Sequence[str] | None = None,
        limit: int | None = None,
        include_deleted: bool = False,
        **conditions: Any,
    ) -> bytes:
        """Return what `all` returns, as the JSON that FastAPI would answer for `list[into]`.

        Raises:
            PageError, FilterError, SortError: As `all`.
        """
        plan = self.plan(into)
        if type(self).all is not Reads.all:
            rows = await self.all(
                *filters,
                into=into,
                sort=sort,
                limit=limit,
                include_deleted=include_deleted,
                **conditions,
            )
            return plan.print_all(rows)
        selection = self._select(filters, conditions, include_deleted)
        found = whole(selection, sort, limit)
        number, items, _ = await self._reader.json(found, plan, self.spare)
        self._checkwhole(number, limit)
        return items

    async def page_json(
        self,
        *filters: Filter,
        into: type[BaseModel],
        sort: str | Sequence[str] | None = None,
        limit: int = DEFAULT_LIMIT,
        offset: int = 0,
        count: Count = "exact",
        include_deleted: bool = False,
        **conditions: Any,
    ) -> bytes:
        """Return what `page` returns, as the JSON that FastAPI would answer for `Page[into]`.

        Raises:
            PageError, FilterError, SortError: As `page`.
        """
        plan = self.plan(into)
        if type(self).page is not Reads.page:
            page = await self.page(
                *filters,
                into=into,
                sort=sort,
                limit=limit,
                offset=offset,
                count=count,
                include_deleted=include_deleted,
                **conditions,
            )
            items, total, limit, offset = (
                plan.print_all(page.items),
                page.total,
                page.limit,
                page.offset,
            )
        else:
            selection = self._select(filters, conditions, include_deleted)
            part = part_of(selection, sort, limit, offset)
            number, items, total = await self._reader.json(
                part, plan, self.spare, counted=count == "exact"
            )
            if total is None:
                total = await self._total(selection, number, part, count)
        counted = b"null" if total is None else b"%d" % total
        return b'{"items":%b,"total":%b,"limit":%d,"offset":%d}' % (items, counted, limit, offset)

    async def stream(
        self,
        *filters: Filter,
        into: type[P],
        batch: int = BATCH,
        include_deleted: bool = False,
        **conditions: Any,
    ) -> AsyncIterator[P]:
        """Yield all rows that match, however many, in the order of the key and in constant memory.

        They are read in batches; where the unit of work only reads, no connection is held between
        two of them. A row that is there throughout comes exactly once, whatever is added or
        removed meanwhile.

        Raises:
            FilterError: A field or operator is unknown, or a value does not fit.
            PageError: The batch is out of bounds.
        """
        plan = self.plan(into)
        async for items in self._parts(filters, conditions, plan, batch, include_deleted):
            for item in items:
                yield plan.build(item)

    async def stream_json(
        self,
        *filters: Filter,
        into: type[BaseModel],
        batch: int = BATCH,
        include_deleted: bool = False,
        **conditions: Any,
    ) -> AsyncIterator[bytes]:
        """Yield what `stream` yields as JSON Lines, the lines of a batch at a time.

        Raises:
            FilterError, PageError: As `stream`.
        """
        plan = self.plan(into)
        async for items in self._parts(filters, conditions, plan, batch, include_deleted):
            yield b"".join(plan.line(item) + b"\n" for item in items)

    def _parts(
        self,
        filters: Sequence[Filter],
        conditions: dict[str, Any],
        plan: Plan[Any],
        batch: int,
        include_deleted: bool,
    ) -> AsyncIterator[Sequence[Any]]:
        check_page(batch, 0, max_limit=MAX_ROWS)
        selection = self._select(filters, conditions, include_deleted)
        return self._reader.parts(selection, plan, batch)

    async def explain(
        self,
        *filters: Filter,
        into: type[BaseModel],
        sort: str | Sequence[str] | None = None,
        limit: int = DEFAULT_LIMIT,
        analyze: bool = False,
        **conditions: Any,
    ) -> str:
        """Tell how `all` would be read: the plan, each statement, and what the database does for it.

        The statements are run, to know the keys that the further ones are for.

        Args:
            filters: Conditions, joined by AND.
            into: The response model.
            sort: Field names, `-` before those that descend.
            limit: The most rows.
            analyze: Whether the database measures too, where it can.
            conditions: Conditions by keyword.

        Raises:
            PageError, FilterError, SortError: As `all`.
        """
        plan = self.plan(into)
        selection = whole(self._select(filters, conditions, include_deleted=False), sort, limit)
        unit = Explaining(self._unit, analyze=analyze)
        await Reader(unit, self._statements).json(selection, plan, self.spare)
        described = plan.explain(unit.server[0], spare=self.spare)
        return "\n".join([described, "", *unit.report]).rstrip()
