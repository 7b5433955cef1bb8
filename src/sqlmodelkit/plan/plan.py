"""A response model compiled against its table: which path it takes, and why."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import GenericAlias
from typing import Any, Generic, Literal, TypeVar, cast

from pydantic import BaseModel, BeforeValidator, PlainValidator, TypeAdapter, WrapValidator
from sqlmodel import SQLModel

from .bytes import bytes_obstacles
from .objects import compile_objects
from .printing import obstacles, printer_of
from .rows import Fetch, compile_rows
from .shape import Shape, has_path, shape_of

P = TypeVar("P", bound=BaseModel)
R = TypeVar("R", bound=BaseModel)

Path = Literal["bytes", "rows", "objects"]
"""How a response is read: `bytes` has the database print its JSON, `rows` selects plain values,
`objects` loads table rows."""

Spare = Literal["both", "application", "database"]
"""Whose time is spared: that of both together, or rather that of one side."""

DIALECTS = ("postgresql", "sqlite", "mariadb", "mysql")
_CHEAP_AS_BYTES: Mapping[str, Collection[str]] = {
    "postgresql": ("flat", "joined"),
    "mariadb": ("flat",),
    "mysql": ("flat",),
}
"""Where a database's printing costs less in total than it saves, by the form of the response;
measured, see docs/benchmarks.md. Collections cost every database more than they save."""


@dataclass(frozen=True)
class Plan(Generic[P]):
    """How a response model is read from its table.

    ```python
    plan = Plan.of(Hero, HeroPublic)
    print(plan.explain())
    ```
    """

    shape: Shape
    response: type[P]

    @classmethod
    def of(cls, model: type[SQLModel], response: type[R]) -> "Plan[R]":
        """Compile a response model against a table model.

        Raises:
            ConfigError: The response model loops, shows a table model, or has a field without
                a counterpart.
        """
        plan = Plan(shape_of(model, response), response)
        if plan.path == "objects":
            _ = plan.entities  # refuses what table rows cannot show
        return plan

    @cached_property
    def reasons(self) -> tuple[str, ...]:
        """Say what keeps the response off the `rows` path; empty when nothing does."""
        return tuple(_reasons(self.shape))

    @cached_property
    def path(self) -> Literal["rows", "objects"]:
        """Which way response models are read."""
        return "objects" if self.reasons else "rows"

    def json_path(
        self,
        dialect: str,
        version: tuple[int, ...] = (),
        *,
        spare: Spare = "both",
        one: bool = False,
    ) -> Path:
        """Say which way the JSON of responses is read.

        Args:
            dialect: `postgresql`, `sqlite`, `mariadb` or `mysql`.
            version: The server's version, empty when it is not known.
            spare: Whose time is spared.
            one: Whether it is one row, which costs about the same by rows and by bytes.
        """
        if self.path == "objects":
            return "objects"
        if spare == "database" or self.bytes_obstacles(dialect, version):
            return "rows"
        cheap = not one and self.form in _CHEAP_AS_BYTES.get(dialect, ())
        return "bytes" if cheap or spare == "application" else "rows"

    def bytes_obstacles(self, dialect: str, version: tuple[int, ...] = ()) -> tuple[str, ...]:
        """Say what keeps a database from printing the response; empty when nothing does."""
        known = self._bytes_obstacles
        found = known.get((dialect, version))
        if found is None:
            found = known[dialect, version] = tuple(bytes_obstacles(self.shape, dialect, version))
        return found

    @cached_property
    def _bytes_obstacles(self) -> dict[tuple[str, tuple[int, ...]], tuple[str, ...]]:
        return {}

    @cached_property
    def form(self) -> Literal["flat", "joined", "collections"]:
        """What the response shows: columns of the table, of to-one relations, or collections."""
        if not self.shape.relations:
            return "flat"
        return "collections" if any(edge.many for edge in self.shape.edges()) else "joined"

    @property
    def is_flat(self) -> bool:
        """Whether the response is the table's own columns, so that a write can return it."""
        return self.path == "rows" and self.form == "flat"

    @cached_property
    def fetch(self) -> Fetch:
        """The statements of the `rows` path."""
        return compile_rows(self.shape)

    @cached_property
    def entities(self) -> Fetch:
        """The statements of the `objects` path; what they build is for `source_of`."""
        return compile_objects(self.shape)

    @cached_property
    def watched_entities(self) -> Fetch:
        """The same where an application adds criteria to statements; see `compile_objects`."""
        return compile_objects(self.shape, watched=True)

    @cached_property
    def _adapter(self) -> TypeAdapter[P]:
        return TypeAdapter(self.response)

    def build(self, source: SQLModel | dict[str, Any]) -> P:
        """Make the response model from what was read: a table row, or the values of `fetch`."""
        return self._adapter.validate_python(source, from_attributes=True)

    @property
    def prints_rows(self) -> bool:
        """Whether what was read is printed as it is, with no code of the model that may refuse."""
        return self._printer is not None

    @cached_property
    def _printer(self) -> TypeAdapter[Any] | None:
        return None if self.reasons else printer_of(self.shape)

    @cached_property
    def _list_adapter(self) -> TypeAdapter[list[P]]:
        return TypeAdapter(cast("Any", GenericAlias(list, self.response)))

    def print(self, response: P) -> bytes:
        """Print a response as the JSON that FastAPI would answer."""
        return self._adapter.dump_json(response, by_alias=True)

    def print_all(self, responses: Sequence[P]) -> bytes:
        """Print responses as the JSON array that FastAPI would answer."""
        return self._list_adapter.dump_json(list(responses), by_alias=True)

    def dump(self, items: Sequence[dict[str, Any]]) -> bytes:
        """Print values of `fetch` as the JSON array that FastAPI would answer, byte by byte.

        They are printed as they are when the response model cannot change them; otherwise the
        models are made first.
        """
        if self._printer is not None:
            return self._printer.dump_json(items, by_alias=True)
        return self.print_all([self.build(item) for item in items])

    def dump_all(self, sources: Sequence[SQLModel | dict[str, Any]]) -> bytes:
        """Print what was read, table rows or values of `fetch`, as the array FastAPI would answer."""
        if sources and isinstance(sources[0], dict):
            return self.dump(cast("Sequence[dict[str, Any]]", sources))
        return self.print_all([self.build(source) for source in sources])

    def line(self, source: SQLModel | dict[str, Any]) -> bytes:
        """Print one response from what was read for it: a table row, or values of `fetch`."""
        if isinstance(source, dict):
            return self.dump([source])[1:-1]
        return self.print(self.build(source))

    def statement_count(self) -> int:
        """Return how many statements one answer takes, however many rows it has."""
        return 1 + sum(edge.many for edge in self.shape.edges())

    def explain(self, dialect: str | None = None, *, spare: Spare = "both") -> str:
        """Describe what is read, statement by statement, which way, and why.

        Args:
            dialect: Say also how a database is asked for the JSON: `postgresql`, `sqlite`,
                `mariadb` or `mysql`.
            spare: Whose time is spared.
        """
        names = f"{self.response.__name__} from {self.shape.model.__name__}"
        lines = [f"{names}: {self.statement_count()} statement(s), path {self.path}"]
        lines += [f"  not by rows: {reason}" for reason in self.reasons]
        lines += [f"  made before printing: {obstacle}" for obstacle in obstacles(self.shape)]
        if dialect is not None:
            path = self.json_path(dialect, spare=spare)
            lines.append(f"  JSON on {dialect}: path {path}")
            lines += [f"  not by bytes: {reason}" for reason in self.bytes_obstacles(dialect)]
        _describe(self.shape, "  ", lines)
        return "\n".join(lines)


def _reasons(shape: Shape) -> list[str]:
    name = shape.response.__name__
    reasons = [f"{name}.{field} is a property of {shape.model.__name__}" for field in shape.opaque]
    decorators = shape.response.__pydantic_decorators__
    validators = decorators.model_validators
    reasons += [
        f"{name}.{method} is a validator of the whole model before its fields"
        for method, decorator in validators.items()
        if decorator.info.mode != "after"
    ]
    if issubclass(shape.response, SQLModel):
        # An SQLModel that is made from a dictionary goes through its own __init__, and Pydantic
        # runs these there, and once more.
        reasons += [
            f"{name}.{method} is a validator of a whole SQLModel"
            for method, decorator in validators.items()
            if decorator.info.mode == "after"
        ]
    keys = Counter(edge.key for edge in shape.relations)
    keys.update({shown.key for shown in shape.fields})
    reasons += [f"{name} shows {key} in several ways" for key, number in keys.items() if number > 1]
    reasons += [
        f"{name}.{field_name} is found by a path of aliases"
        for field_name, field in shape.response.model_fields.items()
        if has_path(field)
    ]
    for edge in shape.relations:
        if _looked_at(shape.response, edge.field):
            reasons.append(f"{name}.{edge.field} has a validator that is given the rows")
        reasons += _reasons(edge.shape)
    return reasons


def _looked_at(response: type[BaseModel], field: str) -> bool:
    """Tell whether code of the response model is given what a relation holds, as it is loaded."""
    before = (BeforeValidator, PlainValidator, WrapValidator)
    if any(isinstance(item, before) for item in response.model_fields[field].metadata):
        return True
    return any(
        decorator.info.mode != "after" and {field, "*"} & set(decorator.info.fields)
        for decorator in response.__pydantic_decorators__.field_validators.values()
    )


def _describe(shape: Shape, indent: str, lines: list[str]) -> None:
    columns = "every column" if shape.opaque else ", ".join(shape.columns)
    lines.append(f"{indent}{shape.model.__name__}: {columns}")
    if shape.opaque:
        lines.append(f"{indent}  (all, because of {', '.join(shape.opaque)})")
    for edge in shape.relations:
        way = "one more statement" if edge.many else "joined"
        if edge.limit is not None:
            order = f" by {', '.join(edge.order)}" if edge.order else ""
            way += f", the first {edge.limit}{order}"
        lines.append(f"{indent}{edge.name} ({way}):")
        _describe(edge.shape, indent + "  ", lines)
    lines += [f"{indent}{cut.name} (not read at this depth: its default)" for cut in shape.cuts]
