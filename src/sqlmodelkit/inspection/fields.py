"""A column as a field of a model: its annotation, and what stands in `Field(...)`.

Start at `field_of`. A type is named only where SQLModel would choose another one.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    ARRAY,
    JSON,
    Boolean,
    Column,
    Date,
    DateTime,
    Double,
    Enum,
    Float,
    Integer,
    Interval,
    LargeBinary,
    Numeric,
    String,
    Time,
    Uuid,
)
from sqlalchemy.dialects.mysql import SET, YEAR
from sqlmodel.sql.sqltypes import AutoString, UTCDateTime

from sqlmodelkit.models import OtherType

from .names import looks_secret
from .reading import Raw, Reading, ddl

Imports = set[tuple[str, str]]
"""What a module has to import: pairs of a module and a name; `dt` is the module `datetime`."""

_PLAIN: tuple[tuple[type[Any], str, Any, tuple[str, str] | None], ...] = (
    (Boolean, "bool", Boolean(), None),
    (Date, "dt.date", Date(), ("datetime", "dt")),
    (Time, "dt.time", Time(), ("datetime", "dt")),
    (Interval, "dt.timedelta", Interval(), ("datetime", "dt")),
    (Integer, "int", Integer(), None),
    (Uuid, "UUID", Uuid(), ("uuid", "UUID")),
    (LargeBinary, "bytes", LargeBinary(), None),
)
_BY_PYTHON: dict[type[Any] | None, str] = {timedelta: "dt.timedelta", bytes: "bytes", int: "int"}


@dataclass(frozen=True, slots=True)
class ColumnField:
    """A field, as it is written.

    Attributes:
        column: The column.
        name: The attribute.
        annotation: The type without None.
        rules: What also holds for input: `max_length`, `max_digits`, `decimal_places`.
        stored: What only the table needs.
        imports: What the annotation and the arguments need.
        generated: Whether the database gives the value: a counted key, a computed column.
        defaulted: Whether the database has a default for it.
        secret: Whether no client may see it, by its name.
    """

    column: Column[Any]
    name: str
    annotation: str
    rules: dict[str, str]
    stored: dict[str, str]
    imports: frozenset[tuple[str, str]]
    generated: bool
    defaulted: bool
    secret: bool

    @property
    def is_key(self) -> bool:
        """Whether it is part of the primary key."""
        return self.column.primary_key

    @property
    def optional(self) -> bool:
        """Whether the annotation allows None: so may be the value, or it comes later."""
        return bool(self.column.nullable) or (self.is_key and self.generated)

    def with_stored(self, **further: str) -> "ColumnField":
        """Return the field with further arguments for the table."""
        return replace(self, stored={**self.stored, **further})


@dataclass(frozen=True, slots=True)
class _Kind:
    annotation: str
    natural: Any = None
    rules: tuple[tuple[str, int | None], ...] = ()
    imports: tuple[tuple[str, str], ...] = ()


def field_of(column: Column[Any], name: str, *, reading: Reading) -> ColumnField:
    """Return a column as a field."""
    raw = reading.raw[column.table.fullname, column.name]
    if ddl(column.type, reading.dialect) != raw.ddl:
        column.type = raw.type
    if isinstance(column.type, Float) and column.type.asdecimal:
        # MySQL's driver reads floating numbers as Decimal unless it is told not to.
        plain = (kind for kind in (Float(), Double()) if ddl(kind, reading.dialect) == raw.ddl)
        column.type = next(plain, column.type)
    if isinstance(column.type, Double) and ddl(Double(), reading.dialect) == raw.ddl:
        column.type = Double()
    kind = _kind(column, raw, reading)
    imports = {("sqlmodel", "Field"), *kind.imports}
    stored: dict[str, str] = {"primary_key": "True"} if column.primary_key else {}
    generated = _is_generated(column, raw)
    if kind.natural is None or ddl(kind.natural, reading.dialect) != raw.ddl:
        stored["sa_type"] = _written_type(column, reading, imports)
    default = None if generated and not _is_apart(column, raw) else raw.default
    if (default is not None or kind.annotation == "Any") and not column.primary_key:
        stored["nullable"] = str(column.nullable)
    elif column.primary_key and column.nullable:
        # SQLite lets one declare it so, and comparing the model with the database tells.
        stored["nullable"] = "True"
    options = dict(_options(column, name, default, generated=generated))
    if "text(" in str(options):
        imports.add(("sqlalchemy", "text"))
    if options:
        stored["sa_column_kwargs"] = _written(options)
    special = _special(column)
    if special:
        stored["sa_column_args"] = f"[{special}]"
        imports.add(("sqlalchemy", special.partition("(")[0]))
    return ColumnField(
        column,
        name,
        kind.annotation,
        {key: repr(value) for key, value in kind.rules if value is not None},
        stored,
        frozenset(imports),
        generated,
        default is not None and not generated,
        looks_secret(column.name),
    )


def annotation_of(column: Column[Any], reading: Reading) -> str:
    """Return the type that a column's attribute will have, before it has a name."""
    return _kind(column, reading.raw[column.table.fullname, column.name], reading).annotation


def _kind(column: Column[Any], raw: Raw, reading: Reading) -> _Kind:
    kind = column.type
    if raw.ddl == "TINYINT(1)":
        return _Kind("bool", raw.type)
    if isinstance(kind, SET | YEAR):
        return _Kind("int" if isinstance(kind, YEAR) else "set[str]")
    enum = reading.writer.enum_classes.get((column.table.name, column.name))
    if isinstance(kind, ARRAY):
        inner = enum or _inner(kind.item_type)
        return _Kind(f"list[{inner}]" if inner else "list[Any]", imports=_needs(inner or "Any"))
    if enum or isinstance(kind, Enum):
        return _Kind(enum or "str")
    return _scalar(kind)


def _scalar(kind: Any) -> _Kind:
    match kind:
        case DateTime(timezone=True):
            return _Kind("dt.datetime", UTCDateTime(), imports=(("datetime", "dt"),))
        case DateTime():
            natural = DateTime(timezone=False)
            return _Kind("NaiveDatetime", natural, imports=(("pydantic", "NaiveDatetime"),))
        case String(length=length):
            return _Kind("str", AutoString(length), rules=(("max_length", length),))
        case Float():
            return _Kind("float", Float())
        case Numeric(asdecimal=True, precision=digits, scale=places):
            rules = (("max_digits", digits), ("decimal_places", places))
            return _Kind("Decimal", Numeric(digits, places), rules, (("decimal", "Decimal"),))
        case JSON():
            return _Kind("Any", imports=(("typing", "Any"),))
    for known, annotation, natural, needed in _PLAIN:
        if isinstance(kind, known):
            return _Kind(annotation, natural, imports=(needed,) if needed else ())
    annotation = _BY_PYTHON.get(_python_type(kind), "Any")
    return _Kind(annotation, imports=_needs(annotation))


def _python_type(kind: Any) -> type[Any] | None:
    try:
        found: type[Any] = kind.python_type
    except NotImplementedError:
        return None
    return found


def _inner(kind: Any) -> str:
    return _scalar(kind).annotation


def _needs(annotation: str) -> tuple[tuple[str, str], ...]:
    known = {
        "Any": ("typing", "Any"),
        "Decimal": ("decimal", "Decimal"),
        "NaiveDatetime": ("pydantic", "NaiveDatetime"),
        "UUID": ("uuid", "UUID"),
    }
    if annotation.startswith("dt."):
        return (("datetime", "dt"),)
    return (known[annotation],) if annotation in known else ()


def _written_type(column: Column[Any], reading: Reading, imports: Imports) -> str:
    if isinstance(column.type, OtherType):
        imports.add(("sqlmodelkit.models", "OtherType"))
        return f"OtherType({column.type.name!r})"
    writer = reading.writer
    writer.imports.clear()
    writer.collect_imports_for_column(column)
    text = writer.render_column_type(column)
    for module, names in writer.imports.items():
        imports.update((module, name) for name in names if f"{name}" in text)
    return text


def _is_generated(column: Column[Any], raw: Raw) -> bool:
    """Tell whether the database counts the column up, or computes it."""
    if column.computed is not None or column.identity is not None:
        return True
    if _is_counted(raw):
        return True
    alone = len(column.table.primary_key.columns) == 1 and column.primary_key
    counted = column.autoincrement is True
    by_itself = column.autoincrement == "auto" and isinstance(column.type, Integer)
    return counted or (alone and by_itself and column.server_default is None)


def _is_counted(raw: Raw) -> bool:
    return raw.default is not None and raw.default.startswith("nextval(")


def _is_apart(column: Column[Any], raw: Raw) -> bool:
    """Tell whether a sequence counts that is not the column's own."""
    return _is_counted(raw) and column.default is not None


def _options(
    column: Column[Any], name: str, default: str | None, *, generated: bool
) -> Iterator[tuple[str, str]]:
    if name != column.name:
        yield "name", repr(column.name)
    if column.primary_key and isinstance(column.type, Integer):
        alone = len(column.table.primary_key.columns) == 1
        if alone and not generated:
            yield "autoincrement", "False"
        if generated and (not alone or default is not None):
            yield "autoincrement", "True"
    if default is not None:
        yield "server_default", f"text({default!r})"
    if column.comment:
        yield "comment", repr(column.comment)


def _special(column: Column[Any]) -> str | None:
    if column.computed is not None:
        stored = (
            "" if column.computed.persisted is None else f", persisted={column.computed.persisted}"
        )
        return f"Computed({str(column.computed.sqltext)!r}{stored})"
    if column.identity is not None:
        always = "always=True" if column.identity.always else ""
        return f"Identity({always})"
    return None


def _written(options: dict[str, str]) -> str:
    return "{" + ", ".join(f'"{key}": {value}' for key, value in options.items()) + "}"
