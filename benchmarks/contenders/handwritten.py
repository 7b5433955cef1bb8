"""What the hand-written contenders share: the columns, and how an UPDATE is put together."""

from collections.abc import Iterable
from typing import Any, Literal

import orjson
from fastapi import HTTPException
from fastapi.responses import Response

from benchmarks.tables import HeroUpdate

HERO = ("id", "name", "secret_name", "age", "team_id", "created_at")
TEAM = ("id", "name", "headquarters")


def columns(names: Iterable[str], alias: str) -> str:
    """Return `alias.column, ...` for a SELECT."""
    return ", ".join(f"{alias}.{name}" for name in names)


def json(value: Any, status_code: int = 200) -> Response:
    """Answer with a value, printed by orjson; times in UTC end with Z, as Pydantic's do."""
    return body(orjson.dumps(value, option=orjson.OPT_UTC_Z), status_code)


def body(content: bytes | str, status_code: int = 200) -> Response:
    """Answer with JSON that is already text."""
    return Response(content, status_code, media_type="application/json")


def not_found() -> HTTPException:
    """Return the error for a key that is not there."""
    return HTTPException(404, "Hero not found")


def assignments(data: HeroUpdate, marker: Literal["$", "?"]) -> tuple[str, list[Any]]:
    """Return the SET list of an UPDATE and its values; `$` numbers parameters after the key."""
    values = data.model_dump(exclude_unset=True)
    names = [
        f"{name} = ${number}" if marker == "$" else f"{name} = ?"
        for number, name in enumerate(values, start=2)
    ]
    return ", ".join(names), list(values.values())
