"""Tables as plain values, and edits of them, for tests that draw sequences of edits.

Start at `World` and `edits`.
"""

from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    Enum,
    ForeignKey,
    Integer,
    MetaData,
    Numeric,
    Table,
    text,
)
from sqlmodel.sql.sqltypes import AutoString, UTCDateTime

from .conftest import new_metadata

KINDS: dict[str, Any] = {
    "int": Integer,
    "big": BigInteger,
    "short": lambda: AutoString(length=20),
    "long": lambda: AutoString(length=80),
    "bool": Boolean,
    "number": lambda: Numeric(10, 2),
    "day": Date,
    "time": UTCDateTime,
}
VALUES = {
    "int": ["1", "22", "333"],
    "big": ["1", "22", "333"],
    "short": ["'a'", "'22'", "'c c'"],
    "long": ["'a'", "'22'", "'forty characters are more than twenty are'"],
    "bool": ["true", "false", "true"],
    "number": ["1.00", "2.50", "333.25"],
    "day": ["'2026-01-01'", "'2026-02-02'", "'2026-03-03'"],
    "time": ["'2026-01-01 00:00:00'", "'2026-02-02 10:20:30'", "'2026-03-03 00:00:00'"],
    "enum": ["'a'", "'b'", "'a'"],
    "fk": ["1", "2", "1"],
}
DEFAULTS = {"int": "7", "big": "7", "short": "'x'", "long": "'x'", "bool": "true", "enum": "'a'"}
TYPES = {
    "int": ("big", "long", "number", "short"),
    "big": ("int", "long"),
    "short": ("long", "int"),
    "long": ("short",),
    "bool": ("int",),
    "number": ("int",),
    "day": ("time",),
    "time": ("day",),
}


@dataclass
class Field:
    """A column."""

    kind: str
    nullable: bool = True
    default: bool = False
    unique: bool = False
    index: bool = False
    foreign: bool = False
    values: tuple[str, ...] = ("a", "b")


@dataclass
class World:
    """Tables by name, with their columns beside `id`, and what was asked for by name."""

    tables: dict[str, dict[str, Field]]
    drop: list[str] = field(default_factory=list)
    rename: dict[str, str] = field(default_factory=dict)
    fill: dict[str, str] = field(default_factory=dict)
    new: set[str] = field(default_factory=set)
    count: int = 0

    def metadata(self) -> MetaData:
        """Return the tables as SQLAlchemy's."""
        metadata = new_metadata()
        for name, fields in self.tables.items():
            columns = [_column(each, column, fields) for column, each in fields.items()]
            Table(name, metadata, Column("id", Integer, primary_key=True), *columns)
        return metadata


def _column(spec: Field, name: str, fields: dict[str, Field]) -> Column[Any]:
    if spec.foreign:
        kind: Any = ForeignKey("anchor.id")
    elif spec.kind == "enum":
        kind = Enum(*spec.values, name=f"{name}_values")
    else:
        kind = KINDS[spec.kind]()
    default = text(DEFAULTS[spec.kind]) if spec.default else None
    return Column(
        name,
        kind,
        nullable=spec.nullable,
        server_default=default,
        unique=spec.unique or None,
        index=spec.index or None,
    )


@st.composite
def edits(draw: Any, world: World) -> str:
    """Draw one edit, make it in the world, and say what it was."""
    table = draw(st.sampled_from([name for name in world.tables if name != "anchor"]))
    fields = world.tables[table]
    choices = ["add", "table"] + (["drop_table"] if len(world.tables) > 2 else ["rename_table"])
    if fields:
        choices += ["drop", "rename", "type", "null", "default", "index", "unique", "enum"]
        choices += ["foreign"]
    kind = draw(st.sampled_from(choices))
    name = draw(st.sampled_from(sorted(fields))) if fields else ""
    return f"{kind} {table}.{name}" if _edit(draw, world, kind, table, name) else "nothing"


def _edit(draw: Any, world: World, kind: str, table: str, name: str) -> bool:  # noqa: C901, PLR0912
    world.count += 1
    fields = world.tables[table]
    spec = fields.get(name, Field("int"))
    new = f"c{world.count}"
    there = not {table, f"{table}.{name}"} & world.new
    match kind:
        case "add":
            made = draw(st.sampled_from([*KINDS, "enum", "fk"]))
            nullable = made == "fk" or draw(st.booleans())
            world.new.add(f"{table}.{new}")
            fields[new] = Field("int" if made == "fk" else made, nullable, foreign=made == "fk")
            if not nullable:
                world.fill[f"{table}.{new}"] = VALUES[made][0].strip("'")
        case "table":
            world.new.add(f"t{world.count}")
            world.tables[f"t{world.count}"] = {"note": Field("short", index=True)}
        case "drop_table" if there:
            del world.tables[table]
            world.drop.append(table)
        case "rename_table" if there and not world.new:
            world.tables[f"r{world.count}"] = world.tables.pop(table)
            world.rename[table] = f"r{world.count}"
        case "drop" if there:
            del fields[name]
            world.drop.append(f"{table}.{name}")
        case "rename" if there:
            world.new.add(f"{table}.{new}")
            world.tables[table] = {new if k == name else k: v for k, v in fields.items()}
            world.rename[f"{table}.{name}"] = new
        case "type" if spec.kind in TYPES and not (spec.foreign or spec.default):
            spec.kind = draw(st.sampled_from(TYPES[spec.kind]))
        case "null":
            spec.nullable = not spec.nullable
        case "default" if spec.kind in DEFAULTS and not spec.foreign:
            spec.default = not spec.default
        case "index" if not spec.unique:
            spec.index = not spec.index
        case "unique" if spec.kind in ("int", "short") and not (spec.index or spec.foreign):
            spec.unique = not spec.unique
        case "enum" if spec.kind == "enum":
            spec.values = draw(
                st.sampled_from([("a", "b"), ("a", "b", "c"), ("a", "x", "b"), ("a",)])
            )
        case "foreign" if spec.kind == "int" and not (spec.unique or spec.default):
            spec.foreign = not spec.foreign
        case _:
            return False
    return True
