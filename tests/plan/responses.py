"""Generated response models: drawn over generated tables, written as source.

Start at `responses`. Half of them are plain, so that they can be printed as they come; the others
have whatever a response model may have: validators, serializers, types of their own.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.plan.schemas import Relation, Schema, Table

Draw = st.DrawFn

PLAIN = {
    "same": "{name}: {type}",
    "optional": "{name}: {bare} | None",
    "default": "{name}: {bare} | None = None",
    "renamed": "{name}_x: {type} = Field(validation_alias='{name}')",
    "aliased": "{name}_x: {type} = Field(alias='{name}')",
    "chosen": "{name}_x: {type} = Field(validation_alias=AliasChoices('absent', '{name}'))",
    "found": "{name}: {type} = Field(validation_alias=AliasChoices('{name}', 'absent'))",
    "titled": "{name}: {type} = Field(serialization_alias={odd!r})",
    "both": "x_{name}: {type} = Field(validation_alias='{name}', serialization_alias='{name}/x')",
    "excluded": "{name}: {type} = Field(exclude=True)",
    "described": "{name}: Annotated[{type}, Field(description='d', title='t')]",
    "filled": "{name}: {bare} | None = Field(default_factory=lambda: None, repr=False)",
}
"""Ways to show a column that change nothing in its value."""

BOUND = {
    "least": "{name}: {type} = pydantic.Field(ge=0)",
    "short": "{name}: {type} = pydantic.Field(max_length=3)",
    "strict": "{name}: {type} = pydantic.Field(strict=True)",
    "finite": "{name}: {type} = pydantic.Field(allow_inf_nan=False)",
    "pattern": "{name}: {type} = pydantic.Field(pattern='^[a-z]*$')",
}
"""Ways to show a column that may refuse its value, and change nothing in it."""

WILD = {
    "required": "{name}: {bare}",
    "anything": "{name}: Any",
    "text": "{name}: str | None",
    "number": "{name}: float | None",
    "digits": "{name}: Decimal | None",
    "union": "{name}: str | {type}",
    "moment": "{name}: datetime | date | None",
    "listed": "{name}: list[str] | dict[str, Any] | {type}",
    "after": "{name}: Annotated[{type}, AfterValidator(altered)]",
    "before": "{name}: Annotated[{type}, BeforeValidator(altered)]",
    "wrapped": "{name}: Annotated[{type}, WrapValidator(wrapped)]",
    "printed": "{name}: Annotated[{type}, PlainSerializer(told)]",
    "printed_if": "{name}: Annotated[{type}, PlainSerializer(told, when_used='unless-none')]",
    "encased": "{name}: Annotated[{type}, WrapSerializer(encased)]",
    "excluded_if": "{name}: {type} = pydantic.Field(exclude_if=empty)",
    "secret": "{name}: pydantic.SecretStr | {type}",
    "invented": "made_{name}: int = 7",
    "path": "{name}_a: Any = Field(default=None, validation_alias=AliasPath('{name}', 'a'))",
    "two": "{name}_y: Any = Field(validation_alias=AliasChoices('{name}', 'id', 'first'))",
}
"""Ways to show a column by code, or as another type."""

_FITS: dict[str, tuple[str, ...]] = {
    "least": ("int", "float", "Decimal"),
    "short": ("str", "bytes", "list[Any]", "dict[str, Any]"),
    "finite": ("float", "Decimal"),
    "pattern": ("str",),
}
"""The types that a constraint can be put on."""

ONE = {
    "same": "{name}: {inner} | None",
    "default": "{name}: {inner} | None = None",
    "renamed": "{name}_x: {inner} | None = Field(validation_alias='{name}')",
    "titled": "{name}: {inner} | None = Field(serialization_alias={odd!r})",
    "excluded": "{name}: {inner} | None = Field(exclude=True)",
    "required": "{name}: {inner}",
}
"""Ways to show a row that is referred to."""

MANY = {
    "same": "{name}: list[{inner}]",
    "again": "{name}: list[{inner}]",
    "renamed": "{name}_x: list[{inner}] = Field(validation_alias='{name}')",
    "titled": "{name}: list[{inner}] = Field(serialization_alias={odd!r})",
    "default": "{name}: list[{inner}] = []",
    "excluded": "{name}: list[{inner}] = Field(exclude=True)",
}
"""Ways to show a collection."""

WILD_EDGES = {
    True: {
        "optional": "{name}: list[{inner}] | None",
        "sequence": "{name}: Sequence[{inner}]",
        "tuple": "{name}: tuple[{inner}, ...]",
        "least": "{name}: list[{inner}] = pydantic.Field(min_length=1)",
        "after": "{name}: Annotated[list[{inner}], AfterValidator(altered)]",
        "before": "{name}: Annotated[list[{inner}], BeforeValidator(first_three)]",
        "named": "{name}: Annotated[list[{inner}], BeforeValidator(by_kind)]",
        "excluded_if": "{name}: list[{inner}] = pydantic.Field(exclude_if=empty)",
    },
    False: {
        "after": "{name}: Annotated[{inner} | None, AfterValidator(altered)]",
        "before": "{name}: Annotated[{inner} | None, BeforeValidator(by_kind)]",
        "printed": "{name}: Annotated[{inner} | None, WrapSerializer(encased)]",
        "excluded_if": "{name}: {inner} | None = pydantic.Field(exclude_if=empty)",
    },
}
"""Ways to show a relation by code, for collections and for rows."""

CODE = {
    "field_after": "@field_validator({field!r})\ndef code_a(cls, value): return altered(value)",
    "field_before": "@field_validator({field!r}, mode='before')\n"
    "def code_b(cls, value): return altered(value)",
    "field_wrap": "@field_validator({field!r}, mode='wrap')\n"
    "def code_w(cls, value, handler): return altered(handler(value))",
    "field_plain": "@field_validator({field!r}, mode='plain')\n"
    "def code_p(cls, value): return by_kind(value)",
    "field_serializer": "@field_serializer({field!r})\ndef code_s(self, value): return told(value)",
    "every_serializer": "@field_serializer('*', mode='wrap')\n"
    "def code_e(self, value, handler): return encased(value, handler)",
    "computed": "@pydantic.computed_field\n@property\n"
    "def code_c(self) -> str: return told(self.{field})",
    "model_after": "@model_validator(mode='after')\n"
    "def code_m(self): self.{field} = altered(self.{field}); return self",
    "model_before": "@model_validator(mode='before')\n@classmethod\n"
    "def code_n(cls, value): return value",
    "model_wrap": "@model_validator(mode='wrap')\n@classmethod\n"
    "def code_o(cls, value, handler): return handler(value)",
    "model_serializer": "@model_serializer(mode='wrap')\n"
    "def code_r(self, handler): return {{'wrapped': handler(self)}}",
    "post_init": "def model_post_init(self, context): self.{field} = altered(self.{field})",
}
"""Methods of a response model."""

PRINTING = (
    "ser_json_timedelta='float'", "ser_json_temporal='seconds'", "ser_json_temporal='milliseconds'",
    "ser_json_bytes='base64'", "ser_json_bytes='hex'", "ser_json_inf_nan='strings'",
    "ser_json_inf_nan='constants'", "title='T'", "frozen=True", "extra='ignore'",
    "use_attribute_docstrings=True", "alias_generator=to_camel, populate_by_name=True",
    "alias_generator=to_camel, populate_by_name=True, ser_json_bytes='base64'",
    "serialize_by_alias=False",
)  # fmt: skip
"""Configurations that change at most how a value is printed."""

CONFIGS = (
    *PRINTING, "use_enum_values=True", "str_strip_whitespace=True", "str_to_upper=True",
    "str_max_length=3", "coerce_numbers_to_str=True", "strict=True", "extra='forbid'",
    "extra='allow'", "alias_generator=to_camel", "allow_inf_nan=False", "revalidate_instances='always'",
    "json_encoders={int: str}", "validate_default=True", "validate_assignment=True",
    "val_temporal_unit='milliseconds'", "use_enum_values=True, validate_default=True",
    "alias_generator=pydantic.AliasGenerator(serialization_alias=to_camel)",
)  # fmt: skip
"""All configurations."""

_ODD = ("Label", 'qu"ote', "\u2028", "back\\slash", "ünï", "")


@dataclass(frozen=True)
class Nested:
    """A relation that a response shows, by the response model of its rows."""

    relation: Relation
    response: "Response"


@dataclass(frozen=True)
class Response:
    """A response model of a table: its class, and which relations it shows."""

    name: str
    table: Table
    body: tuple[str, ...]
    nested: tuple[Nested, ...]

    @property
    def unordered(self) -> bool:
        """Tell whether a collection is shown that declares no order."""
        return any(
            (each.relation.many and not each.relation.ordered) or each.response.unordered
            for each in self.nested
        )

    @property
    def source(self) -> str:
        """Return the class as source, the nested ones before it."""
        inner = [nested.response.source for nested in self.nested]
        lines = [self.body[0], *(f"    {line}" for line in self.body[1:] or ("...",))]
        return "\n\n".join([*inner, "\n".join(lines)])


@dataclass(frozen=True)
class _Limits:
    """What may be drawn: how deep, whether anything wild, and what is left out for now."""

    schema: Schema
    depth: int
    wild: bool
    bound: bool
    avoided: Collection[str]

    def ways(self, plain: dict[str, str], wild: dict[str, str]) -> st.SearchStrategy[str]:
        """Choose a way to show something; some plain one comes first, to shrink towards."""
        ways = {**plain, **wild} if self.wild else plain
        return st.sampled_from([way for name, way in ways.items() if name not in self.avoided])

    def aliases(self) -> st.SearchStrategy[str]:
        """Choose a name to be printed."""
        return st.sampled_from(_ODD[:-1] if "empty alias" in self.avoided else _ODD)


def _shown_columns(table: Table) -> dict[str, tuple[str, str]]:
    """Return the annotation of each column as the response has it, and without None."""
    shown = {
        column.name: (column.annotation + (" | None" if column.nullable else ""), column.annotation)
        for column in table.every
    }
    return shown | ({"deleted_at": ("datetime | None", "datetime")} if table.soft else {})


def _field_name(line: str) -> str:
    return line.partition(":")[0]


def _lines(draw: Draw, table: Table, limits: _Limits, field: str) -> list[str]:
    columns = _shown_columns(table)
    once = "twice" in limits.avoided
    names = draw(st.lists(st.sampled_from(tuple(columns)), max_size=6, min_size=1, unique=once))
    lines: dict[str, str] = {}
    for name in names:
        annotation, bare = columns[name]
        fitting = {
            way: line for way, line in {**BOUND, **WILD}.items() if bare in _FITS.get(way, (bare,))
        }
        bound = {way: line for way, line in fitting.items() if way in BOUND}
        plain = {**PLAIN, **bound} if limits.bound else PLAIN
        way = draw(limits.ways(plain, fitting))
        odd = draw(limits.aliases()) if "{odd" in way else ""
        line = way.format(name=name, type=annotation, bare=bare, odd=odd)
        lines.setdefault(_field_name(line), line)
    if limits.wild and table.titled and draw(st.integers(0, 5)) == 5:
        lines["title"] = "title: str"
    return [line.replace(" Field(", f" {field}.Field(") for line in lines.values()]


def _edges(draw: Draw, table: Table, limits: _Limits, name: str) -> list[tuple[str, Nested]]:
    if limits.depth == 0 or not table.relations:
        return []
    most = 3 if limits.depth > 1 else 1
    once = "twice" in limits.avoided
    relations = draw(
        st.lists(st.sampled_from(table.relations), min_size=1, max_size=most, unique=once)
    )
    if "order" in limits.avoided:
        relations.sort(key=lambda relation: relation.many)
    edges: dict[str, tuple[str, Nested]] = {}
    for number, relation in enumerate(relations):
        target = limits.schema.by_name[relation.target]
        deeper = _Limits(limits.schema, limits.depth - 1, limits.wild, limits.bound, limits.avoided)
        inner = _response(draw, target, deeper, f"{name}{'abc'[number]}")
        plain = MANY if relation.many else ONE
        way = draw(limits.ways(plain, WILD_EDGES[relation.many]))
        odd = draw(limits.aliases()) if "{odd" in way else ""
        line = way.format(name=relation.name, inner=inner.name, odd=odd)
        edges.setdefault(_field_name(line), (line, Nested(relation, inner)))
    return list(edges.values())


def _code(draw: Draw, limits: _Limits, columns: list[str], relations: list[str]) -> list[str]:
    fields = [*columns, *relations]
    if not limits.wild or not fields:
        return []
    # In place of a relation's validation it would let table rows through to the printer.
    useless = () if columns else ("field_plain",)
    known = [name for name in CODE if name not in (*limits.avoided, *useless)]
    chosen = draw(st.lists(st.sampled_from(known), max_size=2, unique=True))
    lines: list[str] = []
    for name in chosen if draw(st.booleans()) else ():
        field = draw(st.sampled_from(columns if name == "field_plain" else fields))
        lines += CODE[name].format(field=field).split("\n")
    return lines


def _config(draw: Draw, limits: _Limits) -> list[str]:
    if draw(st.integers(0, 2)) == 0:
        return []
    known = CONFIGS if limits.wild else PRINTING
    allowed = [config for config in known if config not in limits.avoided]
    config = draw(st.sampled_from(allowed))
    return [f"model_config = ConfigDict({config})"]


def _response(draw: Draw, table: Table, limits: _Limits, name: str) -> Response:
    parent = draw(st.sampled_from(("pydantic.BaseModel", "sqlmodel.SQLModel")))
    field = "pydantic" if "pydantic" in parent else draw(st.sampled_from(("pydantic", "sqlmodel")))
    columns = _lines(draw, table, limits, field)
    edges = _edges(draw, table, limits, name)
    relations = [line.replace(" Field(", f" {field}.Field(") for line, _ in edges]
    last = draw(st.booleans()) or "order" in limits.avoided
    fields = [*columns, *relations] if last else [*relations, *columns]
    body = [f"class {name}({parent}):", *_config(draw, limits), *fields]
    body += _code(draw, limits, list(map(_field_name, columns)), list(map(_field_name, relations)))
    return Response(name, table, tuple(body), tuple(nested for _, nested in edges))


@st.composite
def responses(draw: Draw, schema: Schema, name: str, avoided: Collection[str] = ()) -> Any:
    """Draw a response model of one of the tables, nested up to three levels."""
    table = draw(st.sampled_from(schema.tables))
    depth = draw(st.sampled_from((0, 1, 2, 3, 3)))
    wild, bound = (draw(st.sampled_from((False, False, True))) for _ in range(2))
    limits = _Limits(schema, depth, wild, bound, avoided)
    return _response(draw, table, limits, name)
