"""The query parameters of a list: filters, sort and page, from what the response model shows."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import AwareDatetime, Field, TypeAdapter, ValidationError
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


class Parameter:
    """A query parameter: its type, and whether it may be given several times."""

    def __init__(self, kind: Any, *, many: bool = False, description: str | None = None) -> None:
        self.kind = kind
        self.many = many
        self.description = description

    @cached_property
    def adapter(self) -> TypeAdapter[Any]:
        """Read values, as strictly as the column."""
        return TypeAdapter(self.kind)

    def openapi(self, name: str) -> dict[str, Any]:
        """Describe the parameter as OpenAPI does."""
        schema = self.adapter.json_schema()
        definitions = schema.pop("$defs", {})
        described = {"name": name, "in": "query", "required": False}
        described["schema"] = _inlined(schema, definitions)
        return described | ({"description": self.description} if self.description else {})


class ListParameters:
    """The parameters of a list: page and sort, and a filter for each column and operator.

    Only columns that the service's `public` model shows can be filtered and sorted by. FastAPI
    could read them as one query model; that looks at every parameter for each request, and there
    are often more than a hundred, of which a client gives three.
    """

    def __init__(
        self,
        service_class: type[ServiceBase[Any, Any, Any]],
        *,
        default_limit: int = DEFAULT_LIMIT,
        max_limit: int = MAX_LIMIT,
    ) -> None:
        shown = service_class.plan(service_class.public).shape.columns
        columns = columns_of(service_class.model)
        self.sorts = tuple(name for name in shown if sortable(columns[name]))
        self.default_limit = default_limit
        sorts = f"Fields, `-` before those that descend: {', '.join(self.sorts)}."
        self.known: dict[str, Parameter] = {
            "limit": Parameter(Annotated[int, Field(ge=1, le=max_limit, default=default_limit)]),
            "offset": Parameter(Annotated[int, Field(ge=0, le=MAX_OFFSET, default=0)]),
            "sort": Parameter(str, description=sorts),
            **dict(_filters(service_class, shown)),
        }

    def openapi(self) -> list[dict[str, Any]]:
        """Describe every parameter as OpenAPI does."""
        return [parameter.openapi(name) for name, parameter in self.known.items()]

    def read(self, request: Request) -> ListQuery:
        """Read what a request asks for.

        Raises:
            FilterError: A parameter is unknown, or given more than once.
            SortError: The sort names an unknown field.
            RequestValidationError: A value is of the wrong type.
        """
        given = request.query_params
        self._refuse_unknown(list(given))
        values: dict[str, Any] = {}
        errors: list[Any] = []
        for name in given:
            parameter = self.known[name]
            texts = given.getlist(name)
            if len(texts) > 1 and not parameter.many:
                raise FilterError(f"{name} is given more than once.", fields=[name])
            try:
                value = texts if parameter.many else texts[0]
                values[name] = parameter.adapter.validate_python(value)
            except ValidationError as error:
                errors += [
                    {**problem, "loc": ("query", name, *problem["loc"])}
                    for problem in error.errors(include_url=False)
                ]
        if errors:
            raise RequestValidationError(errors)
        limit = values.pop("limit", self.default_limit)
        offset = values.pop("offset", 0)
        sort = values.pop("sort", None)
        _check_sort(sort, self.sorts)
        for name in values:
            if name.endswith(("__is", "__is_not")):
                values[name] = _NULLS[values[name]]
        return ListQuery(where(**values), sort or None, limit, offset)

    def _refuse_unknown(self, names: list[str]) -> None:
        unknown = [name for name in names if name not in self.known]
        if unknown:
            raise FilterError(
                f"There is no parameter {', '.join(map(repr, unknown))}. "
                f"Parameters are {', '.join(self.known)}.",
                fields=unknown,
            )


def _filters(
    service_class: type[ServiceBase[Any, Any, Any]], names: tuple[str, ...]
) -> Iterator[tuple[str, Parameter]]:
    columns = columns_of(service_class.model)
    for name in names:
        kind = _query_type(columns[name], value_type(service_class.model, name))
        for operator in _operators(columns[name]):
            parameter = name if operator == "eq" and name not in _PAGE else f"{name}__{operator}"
            many = OPERATORS[operator].takes in ("list", "pair")
            yield parameter, Parameter(_parameter_type(kind, operator), many=many)


def _inlined(schema: Any, definitions: dict[str, Any]) -> Any:
    """Put definitions, such as those of enums, in the place of references to them."""
    if isinstance(schema, dict):
        reference = schema.get("$ref")
        if reference is not None:
            return _inlined(definitions[reference.rpartition("/")[2]], definitions)
        return {name: _inlined(value, definitions) for name, value in schema.items()}
    return [_inlined(item, definitions) for item in schema] if isinstance(schema, list) else schema


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


def _check_sort(sort: str | None, sorts: tuple[str, ...]) -> None:
    for name in sort.split(",") if sort else ():
        if name.strip().removeprefix("-") not in sorts:
            raise SortError(
                f"sort: there is no field {name.strip()!r}. Fields are {', '.join(sorts)}.",
                fields=["sort"],
            )
