"""What is read, as the JSON of answers: one row, some, or a page. Ring 8.

Start at `Answers`.
"""

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from .execution import Reader
from .explaining import Explaining
from .filters import Filter
from .pages import DEFAULT_LIMIT, Count, CountedPage, is_approximate
from .reads import ModelT, Reads, part_of, whole


class Answers(Reads[ModelT]):
    """Adds to `Reads` what FastAPI would answer, printed by the plan without the models."""

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
        approximate, total_is = is_approximate(count), ""
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
            total_is = page.total_is if isinstance(page, CountedPage) else ""
        else:
            selection = self._select(filters, conditions, include_deleted)
            part = part_of(selection, sort, limit, offset)
            number, items, total = await self._reader.json(
                part, plan, self.spare, counted=count == "exact"
            )
            if approximate:
                place = (limit, offset)
                total, total_is = await self._approximate(selection, number, place, count)
            elif total is None:
                total = await self._total(selection, number, part, count)
        counted = b"null" if total is None else b"%d" % total
        said = b',"total_is":"%b"' % total_is.encode() if total_is else b""
        parts = (items, counted, limit, offset, said)
        return b'{"items":%b,"total":%b,"limit":%d,"offset":%d%b}' % parts

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
