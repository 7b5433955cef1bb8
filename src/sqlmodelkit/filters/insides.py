"""Values inside JSON, typed by what they are compared with.

A path gives text, a number or a flag; a value of another type than the one asked for counts as
NULL, and so does one that is not there. No engine's own coercion has a say.
"""

from typing import Any, Literal

from sqlalchemy import (
    JSON,
    ColumnElement,
    Float,
    Integer,
    Numeric,
    String,
    case,
    cast,
    func,
    literal,
)
from sqlalchemy.types import TypeEngine

from sqlmodelkit.errors import FilterError

Kind = Literal["text", "number", "flag", "any"]
_ENGINES = ("postgresql", "sqlite", "mysql", "mariadb")
_NAMES: dict[str, dict[Kind, tuple[str, ...]]] = {
    "postgresql": {"text": ("string",), "number": ("number",), "flag": ("boolean",)},
    "sqlite": {"text": ("text",), "number": ("integer", "real"), "flag": ("true", "false")},
    "mysql": {
        "text": ("STRING",),
        "number": ("INTEGER", "DOUBLE", "DECIMAL", "UNSIGNED INTEGER"),
        "flag": ("BOOLEAN",),
    },
}
_NULLS = {"postgresql": "null", "sqlite": "null", "mysql": "NULL"}

Steps = tuple[str | int, ...]


def check_engine(label: str, dialect: str) -> None:
    """Refuse a path into JSON on an engine that is not known to have them."""
    if dialect not in _ENGINES:
        raise FilterError(f"{label}: there are no paths into JSON on {dialect}.", fields=[label])


def inside(column: Any, steps: Steps, kind: Kind, dialect: str) -> ColumnElement[Any]:
    """Return the value at a path where it is of a kind, NULL elsewhere."""
    engine = "mysql" if dialect == "mariadb" else dialect
    name, value = {"postgresql": _postgresql, "sqlite": _sqlite, "mysql": _mysql}[engine](
        column, steps, kind
    )
    if kind == "any":
        return func.nullif(name, literal(_NULLS[engine], String))
    return case((name.in_([literal(one, String) for one in _NAMES[engine][kind]]), value))


def type_of(kind: Kind, dialect: str) -> TypeEngine[Any]:
    """Return the type in which values of a kind are sent."""
    if kind != "number":
        return String()
    return Numeric() if dialect == "postgresql" else Float()


def _postgresql(column: Any, steps: Steps, kind: Kind) -> tuple[Any, Any]:
    # A position and a key are told apart: in the text form of a path they are not.
    parent = column
    for step in steps[:-1]:
        parent = parent.op("->", return_type=JSON())(_step(step))
    last = _step(steps[-1])
    text = parent.op("->>", return_type=String())(last)
    # Whether the column is JSON or JSONB.
    name = func.jsonb_typeof(func.to_jsonb(parent.op("->", return_type=JSON())(last)))
    return name, cast(text, Numeric) if kind == "number" else text


def _sqlite(column: Any, steps: Steps, kind: Kind) -> tuple[Any, Any]:
    path = literal(_path(steps), String)
    name = func.json_type(column, path)
    return name, name if kind == "flag" else func.json_extract(column, path)


def _mysql(column: Any, steps: Steps, kind: Kind) -> tuple[Any, Any]:
    part = func.json_extract(column, literal(_path(steps), String))
    # An arithmetic operation makes a number of it, of eight bytes.
    text = func.json_unquote(part)
    return func.json_type(part), text.op("+", return_type=Float())(literal(0.0, Float)) if (
        kind == "number"
    ) else text


def _step(step: str | int) -> ColumnElement[Any]:
    return literal(step, Integer) if isinstance(step, int) else literal(step, String)


def _path(steps: Steps) -> str:
    """Return a path as SQLite and MySQL write it; `paths` lets no quote into a step."""
    return "$" + "".join(f"[{s}]" if isinstance(s, int) else f'."{s}"' for s in steps)
