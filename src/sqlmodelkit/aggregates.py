"""What many rows come to: results over groups, the first of each group, which keys exist. Ring 8.

Start at `Aggregates`.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, overload

from pydantic import BaseModel
from sqlalchemy import Integer, bindparam, func, select, tuple_

from .columns import key_of, key_values
from .errors import FilterError, PageError
from .filters import MAX_ITEMS, Checked, Filter, check_key
from .measures import Groups
from .pages import check_page, order_by, sort_fields
from .reads import MAX_ROWS, ModelT, P, Reads, whole
from .selection import Selection


class Aggregates(Reads[ModelT]):
    """Adds to `Reads` what is reckoned over rows, in the same scope and by the same filters."""

    @overload
    async def aggregate(
        self,
        measures: Mapping[str, str],
        *filters: Filter,
        into: type[P],
        by: Sequence[str] = (),
        having: Mapping[str, Any] | None = None,
        sort: Sequence[str] = (),
        limit: int | None = None,
        include_deleted: bool = False,
        **conditions: Any,
    ) -> list[P]: ...
    @overload
    async def aggregate(
        self,
        measures: Mapping[str, str],
        *filters: Filter,
        by: Sequence[str] = (),
        having: Mapping[str, Any] | None = None,
        sort: Sequence[str] = (),
        limit: int | None = None,
        include_deleted: bool = False,
        **conditions: Any,
    ) -> list[dict[str, Any]]: ...
    async def aggregate(  # noqa: PLR0913 - all by name
        self,
        measures: Mapping[str, str],
        *filters: Filter,
        into: type[BaseModel] | None = None,
        by: Sequence[str] = (),
        having: Mapping[str, Any] | None = None,
        sort: Sequence[str] = (),
        limit: int | None = None,
        include_deleted: bool = False,
        **conditions: Any,
    ) -> list[Any]:
        """Return results for each group of the rows that match; one group where there is no `by`.

        Args:
            measures: `"count"` or a field and a function, as in `"price__sum"`, by result's name.
            filters: Conditions on rows, joined by AND.
            into: A model of the groups and results; without it they are mappings.
            by: The fields that make the groups, paths along to-one relations among them.
            having: Conditions on results, in the grammar of filters: `{"sold__gte": 3}`.
            sort: Names of fields and results, `-` before those that descend.
            limit: The most groups.
            include_deleted: Reckon with soft-deleted rows too.
            conditions: Conditions on rows by keyword.

        Raises:
            FilterError, SortError: A name is unknown, or does not fit.
            PageError: No limit was given and there are more than 1,000 groups.
        """
        names = tuple(sort.split(",")) if isinstance(sort, str) else tuple(sort)
        fields = (by,) if isinstance(by, str) else tuple(by)
        groups = Groups(self.model, fields, tuple(measures.items()), names)
        groups.check()
        groups, values = groups.conditions(having or {})
        if limit is not None:
            check_page(limit, 0, max_limit=MAX_ROWS)
        selection = self._select(filters, conditions, include_deleted)
        known = selection.filters
        selection = replace(
            selection, filters=Checked(known.key, {**known.values, **values}, known.parts)
        ).cut(limit or MAX_ROWS + 1)
        rows = await self._reader.table(selection, groups.select, groups)
        if limit is None and len(rows) > MAX_ROWS:
            raise PageError(
                f"There are more than {MAX_ROWS} groups.", hint="Give a limit.", fields=["limit"]
            )
        found = [groups.convert(row) for row in rows]
        return found if into is None else [into.model_validate(values) for values in found]

    async def distinct(
        self,
        field: str,
        *filters: Filter,
        limit: int | None = None,
        include_deleted: bool = False,
        **conditions: Any,
    ) -> dict[Any, int]:
        """Return the values of a field with the number of rows that have each, most frequent first.

        Raises:
            FilterError, PageError: As `aggregate`.
        """
        rows = await self.aggregate(
            {"number of rows": "count"},
            *filters,
            by=(field,),
            sort=("-number of rows",),
            limit=limit,
            include_deleted=include_deleted,
            **conditions,
        )
        return {row[field]: row["number of rows"] for row in rows}

    @overload
    async def top(
        self,
        number: int,
        *filters: Filter,
        by: Sequence[str],
        into: type[P],
        sort: str | Sequence[str] | None = None,
        limit: int | None = None,
        include_deleted: bool = False,
        **conditions: Any,
    ) -> list[P]: ...
    @overload
    async def top(
        self,
        number: int,
        *filters: Filter,
        by: Sequence[str],
        sort: str | Sequence[str] | None = None,
        limit: int | None = None,
        load: Collection[str] = (),
        include_deleted: bool = False,
        **conditions: Any,
    ) -> list[ModelT]: ...
    async def top(  # noqa: PLR0913 - all by name
        self,
        number: int,
        *filters: Filter,
        by: Sequence[str],
        into: type[BaseModel] | None = None,
        sort: str | Sequence[str] | None = None,
        limit: int | None = None,
        load: Collection[str] = (),
        include_deleted: bool = False,
        **conditions: Any,
    ) -> list[Any]:
        """Return the first rows of each group, group by group.

        Args:
            number: The most rows of a group.
            filters: Conditions, joined by AND.
            by: The fields that make the groups.
            into: The response model to answer.
            sort: The order within a group; its end is the key.
            limit: The most rows in all.
            load: Relations to load when there is no `into`.
            include_deleted: Show soft-deleted rows too.
            conditions: Conditions by keyword.

        Raises:
            FilterError, SortError: A name is unknown, or does not fit.
            PageError: A number is out of bounds, or no limit was given and there are too many.
        """
        check_page(number, 0, max_limit=MAX_ROWS)
        fields = (by,) if isinstance(by, str) else tuple(by)
        names = sort_fields(self.model, sort if isinstance(sort, str) else tuple(sort or ()))
        sort_fields(self.model, fields)
        if not fields or any(name.startswith("-") for name in fields):
            raise FilterError("The first of each group need fields of groups.", fields=["by"])
        selection = self._select(filters, conditions, include_deleted)
        first = replace(selection, filters=self._first(selection, fields, names, number))
        inner = [name for name in names if name.removeprefix("-") not in fields]
        found = await self._read(whole(first, [*fields, *inner], limit), load, into)
        self._checkwhole(len(found), limit)
        return [result for _, result in found]

    def _first(
        self, selection: Selection, fields: tuple[str, ...], sort: tuple[str, ...], number: int
    ) -> Checked:
        """Return the condition that a row is among the first of its group."""
        key = [getattr(self.model, name) for name in key_of(self.model)]
        place = func.row_number().over(
            partition_by=[getattr(self.model, name) for name in fields],
            order_by=order_by(self.model, sort, dialect=selection.dialect),
        )
        places = (
            selection.select()
            .with_only_columns(*key, place.label("place"), maintain_column_froms=True)
            .subquery()
        )
        parts = list(places.c)[:-1]
        chosen = select(*parts).where(places.c.place <= bindparam("top_number", type_=Integer))
        whole_key = key[0] if len(key) == 1 else tuple_(*key)
        form = None if selection.key is None else ("top", fields, sort, selection.filters.key)
        values = {**selection.filters.values, "top_number": number}
        return Checked.of(form, whole_key.in_(chosen), values)

    @overload
    async def find_many(
        self, keys: Iterable[Any], *, load: Collection[str] = (), include_deleted: bool = False
    ) -> list[ModelT | None]: ...
    @overload
    async def find_many(
        self, keys: Iterable[Any], *, into: type[P], include_deleted: bool = False
    ) -> list[P | None]: ...
    async def find_many(
        self,
        keys: Iterable[Any],
        *,
        into: type[BaseModel] | None = None,
        load: Collection[str] = (),
        include_deleted: bool = False,
    ) -> list[Any]:
        """Return the rows with these keys in the order asked, None in the place of a missing one.

        Raises:
            FilterError: A key does not fit its column.
        """
        asked = self._keys(keys)
        rows: dict[Any, Any] = {}
        for selection in self._by_keys(asked, include_deleted):
            rows.update(await self._read(selection, load, into))
        return [rows.get(key[0] if len(key) == 1 else key) for key in asked]

    async def existing(self, keys: Iterable[Any], *, include_deleted: bool = False) -> list[Any]:
        """Return those of the keys that exist, in the order asked and as they were given.

        Raises:
            FilterError: A key does not fit its column.
        """
        given = list(keys)
        asked = self._keys(given)
        columns: Any = [getattr(self.model, name) for name in key_of(self.model)]
        found: set[tuple[Any, ...]] = set()

        def build(base: Any) -> Any:
            return base.with_only_columns(*columns, maintain_column_froms=True)

        for selection in self._by_keys(asked, include_deleted):
            rows = await self._reader.table(selection, build, "keys")
            found.update(map(tuple, rows))
        return [key for key, parts in zip(given, asked, strict=True) if parts in found]

    def _keys(self, keys: Iterable[Any]) -> list[tuple[Any, ...]]:
        """Return keys as tuples of their columns' types."""
        dialect = self._unit.dialect
        found = []
        for key in keys:
            values = key_values(self.model, key)
            if None in values.values():
                raise FilterError("A key has no part that is NULL.", fields=list(values))
            found.append(tuple(check_key(self.model, values, dialect=dialect).values.values()))
        return found

    def _by_keys(self, keys: list[tuple[Any, ...]], include_deleted: bool) -> Iterable[Selection]:
        names = key_of(self.model)
        columns = [getattr(self.model, name) for name in names]
        distinct = list(dict.fromkeys(keys))
        for start in range(0, len(distinct), MAX_ITEMS):
            part = distinct[start : start + MAX_ITEMS]
            if len(names) == 1:
                condition = {f"{names[0]}__in": [key[0] for key in part]}
                yield self._select((), condition, include_deleted)
            else:
                yield self._select((tuple_(*columns).in_(part),), {}, include_deleted)
