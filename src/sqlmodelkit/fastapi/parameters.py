"""Query parameters that filter: one for each field and operator that a service lets clients use."""

import json
from collections.abc import Iterable, Iterator
from functools import cached_property
from types import EllipsisType
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field, TypeAdapter
from sqlalchemy import Boolean, Column
from sqlmodel.sql.sqltypes import UTCDateTime

from sqlmodelkit.columns import bounds, columns_of, value_type
from sqlmodelkit.errors import ConfigError, FilterError
from sqlmodelkit.filters import ALIASES, OPERATORS, Compared, find, operators_of
from sqlmodelkit.pages import sortable
from sqlmodelkit.service import ServiceBase

MAX_LIST = 100
_NULL = ("is", "is_not")
_SCALAR = Annotated[int | Annotated[float, Field(allow_inf_nan=False)] | bool | str, "inside JSON"]

Service = type[ServiceBase[Any, Any, Any]]


class Parameter:
    """A query parameter: its type, and whether it may be given several times.

    Attributes:
        kind: The type of its value.
        many: Whether it may be given several times.
        inside: Whether it compares inside JSON, and so reads `3` and `true` as JSON does.
        operator: How it compares, when it is a filter.
    """

    def __init__(
        self,
        kind: Any,
        *,
        many: bool = False,
        inside: bool = False,
        operator: str = "",
        description: str | None = None,
    ) -> None:
        self.kind = kind
        self.many = many
        self.inside = inside
        self.operator = operator
        self.description = description

    @cached_property
    def adapter(self) -> TypeAdapter[Any]:
        """Read values, as strictly as the column."""
        return TypeAdapter(self.kind)

    def read(self, texts: list[str]) -> Any:
        """Read the value from the texts of a query.

        Raises:
            ValidationError: It is of the wrong type.
        """
        values = [_scalar(text) for text in texts] if self.inside else texts
        return self.adapter.validate_python(values if self.many else values[0])

    def openapi(self, name: str) -> dict[str, Any]:
        """Describe the parameter as OpenAPI does."""
        schema = self.adapter.json_schema()
        definitions = schema.pop("$defs", {})
        described = {"name": name, "in": "query", "required": False}
        described["schema"] = _inlined(schema, definitions)
        return described | ({"description": self.description} if self.description else {})


def filter_parameters(
    service_class: Service, shown: Iterable[str], reserved: Iterable[str]
) -> Iterator[tuple[str, Parameter]]:
    """Yield the parameters that a service allows: of `filterable`, where `...` is what is shown.

    Args:
        service_class: The service.
        shown: The fields of its response model.
        reserved: Names that mean something else; equality is spelled `name__eq` for them.

    Raises:
        ConfigError: A declared field is unknown.
    """
    for entry in map(canonical, _declared(service_class.filterable, shown)):
        compared, operators = _allowed(service_class, entry)
        label = entry.removesuffix(f"__{operators[0]}") if len(operators) == 1 else entry
        inside = bool(compared.steps)
        kind = _query_type(compared.column, value_type(compared.model, compared.name))
        for operator in operators:
            plain = operator == "eq" and label not in reserved and not inside
            many = OPERATORS[operator].takes in ("list", "pair")
            text = inside and OPERATORS[operator].takes != "text"
            yield (
                label if plain else f"{label}__{operator}",
                Parameter(
                    _parameter_type(_SCALAR if inside else kind, operator),
                    many=many,
                    inside=text and operator not in _NULL,
                    operator=operator,
                ),
            )


def sort_fields_of(service_class: Service, shown: Iterable[str]) -> tuple[str, ...]:
    """Return the fields that clients may sort by: of `sortable`, where `...` is what is shown.

    Raises:
        ConfigError: A declared field is unknown, or cannot be sorted by.
    """
    columns = columns_of(service_class.model)
    fields = [name for name in shown if sortable(columns[name])]
    declared = _declared(service_class.sortable, fields)
    for name in declared:
        if name not in columns or not sortable(columns[name]):
            raise ConfigError(
                f"{service_class.__name__}.sortable: {name!r} cannot be sorted by.", fields=[name]
            )
    return declared


def check_search(service_class: Service) -> None:
    """Refuse fields of `searchable` that are no text.

    Raises:
        ConfigError: A declared field is unknown, or no text.
    """
    for name in service_class.searchable:
        _found(service_class, f"{name}__icontains", "searchable")


def canonical(name: str) -> str:
    """Return a parameter's name with the usual spelling of its operator."""
    field, _, last = name.rpartition("__")
    if not field:
        return name
    return f"{field}__{ALIASES.get(last, last)}"


def _declared(declared: Iterable[str | EllipsisType], shown: Iterable[str]) -> tuple[str, ...]:
    names: list[str] = []
    for entry in declared:
        names += shown if isinstance(entry, EllipsisType) else [entry]
    return tuple(dict.fromkeys(names))


def _allowed(service_class: Service, entry: str) -> tuple[Compared, tuple[str, ...]]:
    column = columns_of(service_class.model).get(entry)
    if column is not None and "eq" not in operators_of(column):
        # JSON as a whole is there or not, and is compared by nothing else.
        first = operators_of(column)[0]
        return _found(service_class, f"{entry}__{first}", "filterable"), _operators(column)
    compared = _found(service_class, entry, "filterable")
    name = compared.operator.name
    if name != "eq" or entry.endswith("__eq"):
        return compared, (name,)
    return compared, _operators(compared.column)


def _found(service_class: Service, label: str, declaration: str) -> Compared:
    try:
        return find(service_class.model, label)
    except FilterError as error:
        raise ConfigError(
            f"{service_class.__name__}.{declaration}: {error.message}",
            hint=error.hint,
            fields=error.fields,
        ) from error


def _scalar(text: str) -> Any:
    """Read `3`, `true` and `"3"` as JSON, and everything else as the text that it is."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return value if isinstance(value, (str, bool, int, float)) else text


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
