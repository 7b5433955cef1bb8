"""The query parameters of a list: filters, sort and page, from what the response model shows."""

from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import Query, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, create_model
from sqlalchemy import Boolean, Column
from sqlmodel.sql.sqltypes import UTCDateTime

from sqlmodelkit.columns import bounds, columns_of, value_type
from sqlmodelkit.errors import FilterError, SortError
from sqlmodelkit.filters import OPERATORS, Where, operators_of, where
from sqlmodelkit.pages import DEFAULT_LIMIT, MAX_LIMIT, MAX_OFFSET, sortable
from sqlmodelkit.service import ServiceBase

MAX_LIST = 100
_PAGE = ("limit", "offset", "sort")
_NULL = ("is", "is_not")
_NULLS = {"null": None, "true": True, "false": False}


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What a client asked for, checked."""

    where: Where
    sort: str | None
    limit: int
    offset: int


def list_query(
    service_class: type[ServiceBase[Any, Any, Any]],
    *,
    default_limit: int = DEFAULT_LIMIT,
    max_limit: int = MAX_LIMIT,
) -> Callable[..., Coroutine[Any, Any, ListQuery]]:
    """Return a dependency that reads filters, sort and page from the query.

    Only columns that the service's `public` model shows can be filtered and sorted by. OpenAPI
    lists every parameter; one that is unknown, or given twice, is refused.
    """
    shown = service_class.plan(service_class.public).shape.columns
    fields = dict(_filter_fields(service_class, shown))
    columns = columns_of(service_class.model)
    sorts = tuple(name for name in shown if sortable(columns[name]))
    model: Any = create_model(
        f"{service_class.model.__name__}Query",
        __config__=ConfigDict(extra="allow"),
        limit=(Annotated[int, Field(ge=1, le=max_limit)], default_limit),
        offset=(Annotated[int, Field(ge=0, le=MAX_OFFSET)], 0),
        sort=(
            str | None,
            Field(None, description=f"Fields, `-` before those that descend: {', '.join(sorts)}."),
        ),
        **fields,
    )

    async def read_query(request: Request, query: Any) -> ListQuery:
        _refuse_unknown(request, query, fields)
        _check_sort(query.sort, sorts)
        conditions = {
            name: _NULLS[value] if name.endswith(("__is", "__is_not")) else value
            for name in query.model_fields_set
            if name in fields and (value := getattr(query, name)) is not None
        }
        return ListQuery(where(**conditions), query.sort or None, query.limit, query.offset)

    read_query.__annotations__["query"] = Annotated[model, Query()]
    return read_query


def _filter_fields(
    service_class: type[ServiceBase[Any, Any, Any]], names: tuple[str, ...]
) -> Iterator[tuple[str, Any]]:
    columns = columns_of(service_class.model)
    for name in names:
        kind = _query_type(columns[name], value_type(service_class.model, name))
        for operator in _operators(columns[name]):
            parameter = name if operator == "eq" and name not in _PAGE else f"{name}__{operator}"
            yield parameter, (_parameter_type(kind, operator) | None, None)


def _operators(column: Column[Any]) -> tuple[str, ...]:
    """Return the operators that clients may use: all that tell rows apart, without full text."""
    flag = column.nullable or isinstance(column.type, Boolean)
    return tuple(
        name for name in operators_of(column) if name != "match" and (flag or name not in _NULL)
    )


def _query_type(column: Column[Any], kind: Any) -> Any:
    """Return the type of a parameter: as strict as the column, so that bad values are a 422."""
    if isinstance(column.type, UTCDateTime):
        return AwareDatetime
    limits = bounds(column)
    if limits and kind is int:
        return Annotated[int, Field(ge=limits[0], le=limits[1])]
    if kind is float:
        return Annotated[float, Field(allow_inf_nan=False)]
    return kind


def _parameter_type(kind: Any, operator: str) -> Any:
    match OPERATORS[operator].takes:
        case "text":
            return str
        case "list":
            return Annotated[list[kind], Field(max_length=MAX_LIST)]
        case "pair":
            return Annotated[list[kind], Field(min_length=2, max_length=2)]
        case "null":
            return Literal["null", "true", "false"] if kind is bool else Literal["null"]
        case _:
            return kind


def _refuse_unknown(request: Request, query: BaseModel, fields: dict[str, Any]) -> None:
    known = (*_PAGE, *fields)
    unknown = [name for name in query.model_extra or {} if name not in known]
    if unknown:
        raise FilterError(
            f"There is no parameter {', '.join(map(repr, unknown))}. "
            f"Parameters are {', '.join(known)}.",
            fields=unknown,
        )
    repeated = ("__in", "__not_in", "__between")
    for name in known:
        if len(request.query_params.getlist(name)) > 1 and not name.endswith(repeated):
            raise FilterError(f"{name} is given more than once.", fields=[name])


def _check_sort(sort: str | None, sorts: tuple[str, ...]) -> None:
    for name in sort.split(",") if sort else ():
        if name.strip().removeprefix("-") not in sorts:
            raise SortError(
                f"sort: there is no field {name.strip()!r}. Fields are {', '.join(sorts)}.",
                fields=["sort"],
            )
