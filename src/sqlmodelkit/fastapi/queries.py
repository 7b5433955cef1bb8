"""The query parameters of a list: filters, sort and page, from what the response model shows."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import Field, ValidationError

from sqlmodelkit.cursors import MAX_CURSOR
from sqlmodelkit.errors import FilterError, SortError
from sqlmodelkit.filters import MIN_SEARCH, Where, all_of, search, where
from sqlmodelkit.pages import DEFAULT_LIMIT, MAX_LIMIT, MAX_OFFSET
from sqlmodelkit.service import ServiceBase

from .parameters import Parameter, canonical, check_search, filter_parameters, sort_fields_of
from .trees import MAX_TREE_TEXT, read_tree

Pages = Literal["offset", "cursor"]
"""How a list is paged: by the number of rows before, or by the place of a row."""

MAX_SEARCH = 200
_PAGE = ("limit", "offset", "cursor", "sort", "q", "filter")
_NULLS = {"null": None, "true": True, "false": False}


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What a client asked for, checked."""

    where: Where
    sort: str | None
    limit: int
    offset: int
    cursor: str | None = None


_PLACES: dict[Pages, dict[str, Parameter]] = {
    "offset": {"offset": Parameter(Annotated[int, Field(ge=0, le=MAX_OFFSET, default=0)])},
    "cursor": {
        "cursor": Parameter(
            Annotated[str, Field(max_length=MAX_CURSOR)],
            description="`next` or `previous` of another page of the same list.",
        )
    },
}


class ListParameters:
    """The parameters of a list: page and sort, and a filter for each column and operator.

    Only what the service's `public` model shows can be filtered and sorted by, or what its
    `filterable` and `sortable` say. FastAPI
    could read them as one query model; that looks at every parameter for each request, and there
    are often more than a hundred, of which a client gives three.
    """

    def __init__(
        self,
        service_class: type[ServiceBase[Any, Any, Any]],
        *,
        default_limit: int = DEFAULT_LIMIT,
        max_limit: int = MAX_LIMIT,
        pages: Pages = "offset",
    ) -> None:
        shown = service_class.plan(service_class.public).shape.columns
        self.sorts = sort_fields_of(service_class, shown)
        check_search(service_class)
        self.searchable = tuple(service_class.searchable)
        self.filters = dict(filter_parameters(service_class, shown, _PAGE))
        self.default_limit = default_limit
        sorts = f"Fields, `-` before those that descend: {', '.join(self.sorts)}."
        self.known: dict[str, Parameter] = {
            "limit": Parameter(Annotated[int, Field(ge=1, le=max_limit, default=default_limit)]),
            **_PLACES[pages],
            "sort": Parameter(str, description=sorts),
            **self.filters,
            **(_TREE if self.filters else {}),
            **(_search(self.searchable) if self.searchable else {}),
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
            known = self._spelling(name)
            parameter = self.known[known]
            texts = given.getlist(name)
            if known in values or (len(texts) > 1 and not parameter.many):
                raise FilterError(f"{name} is given more than once.", fields=[name])
            try:
                values[known] = parameter.read(texts)
            except ValidationError as error:
                errors += [
                    {**problem, "loc": ("query", name, *problem["loc"])}
                    for problem in error.errors(include_url=False)
                ]
        if errors:
            raise RequestValidationError(errors)
        limit = values.pop("limit", self.default_limit)
        offset, cursor = values.pop("offset", 0), values.pop("cursor", None)
        sort = values.pop("sort", None)
        words, tree = values.pop("q", None), values.pop("filter", None)
        _check_sort(sort, self.sorts)
        for name in values:
            if name.endswith(("__is", "__is_not")):
                values[name] = _NULLS[values[name]]
        return ListQuery(self._joined(words, tree, values), sort or None, limit, offset, cursor)

    def _joined(self, words: str | None, tree: str | None, values: dict[str, Any]) -> Where:
        """Return a search, a tree and plain conditions as one filter."""
        parts = [where(**values)] if values else []
        if tree is not None:
            parts.append(read_tree(tree, self.filters))
        if words is not None:
            parts.append(search(words, self.searchable))
        return all_of(*parts) if parts else where()

    def _spelling(self, name: str) -> str:
        """Return the name of a known parameter that may be spelled in another way."""
        if name in self.known:
            return name
        usual = canonical(name)
        plain = usual.removesuffix("__eq")
        return plain if plain in self.filters else usual

    def _refuse_unknown(self, names: list[str]) -> None:
        unknown = [name for name in names if self._spelling(name) not in self.known]
        if unknown:
            raise FilterError(
                f"There is no parameter {', '.join(map(repr, unknown))}. "
                f"Parameters are {', '.join(self.known)}.",
                fields=unknown,
            )


def _search(fields: tuple[str, ...]) -> dict[str, Parameter]:
    described = f"Words that are each in one of {', '.join(fields)}, whatever their case."
    kind = Annotated[str, Field(min_length=MIN_SEARCH, max_length=MAX_SEARCH)]
    return {"q": Parameter(kind, description=described)}


_TREE = {
    "filter": Parameter(
        Annotated[str, Field(max_length=MAX_TREE_TEXT)],
        description="A JSON object of the other filters' names and values, with `and`, `or` and "
        '`not`: `{"or": [{"a": 1}, {"not": {"b__gt": 2}}]}`.',
    )
}


def _check_sort(sort: str | None, sorts: tuple[str, ...]) -> None:
    for name in sort.split(",") if sort else ():
        if name.strip().removeprefix("-") not in sorts:
            raise SortError(
                f"sort: there is no field {name.strip()!r}. Fields are {', '.join(sorts)}.",
                fields=["sort"],
            )
