"""How types and defaults are written in a migration: with the import they need.

Start at `render_item`.
"""

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import Enum, Uuid
from sqlalchemy.schema import DefaultClause
from sqlalchemy.types import TypeEngine
from sqlmodel.sql.sqltypes import AutoString

from sqlmodelkit.models import utcnow


def render_item(kind: str, thing: Any, autogen: Any) -> str | Literal[False]:
    """Return how a type or a default is written, or False where Alembic knows by itself."""
    if kind == "type":
        return _type(thing, autogen)
    clock = isinstance(thing, DefaultClause) and isinstance(thing.arg, utcnow)
    if kind == "server_default" and clock:
        autogen.imports.add("from sqlmodelkit.models import utcnow")
        return "utcnow()"
    return False


def render_type(thing: TypeEngine[Any], autogen: Any) -> str:
    """Return how any type is written, with its import."""
    rendered = _type(thing, autogen)
    if rendered is not False:
        return rendered
    module = type(thing).__module__
    if module.startswith("sqlalchemy.dialects."):
        dialect = module.split(".")[2]
        autogen.imports.add(f"from sqlalchemy.dialects import {dialect}")
        return f"{dialect}.{thing!r}"
    return f"sa.{thing!r}"


def _type(thing: TypeEngine[Any], autogen: Any) -> str | Literal[False]:
    if isinstance(thing, Enum):
        return render_enum(thing)
    if isinstance(thing, Uuid) and type(thing).__module__.startswith("sqlalchemy.sql"):
        return "sa.Uuid()"
    module = type(thing).__module__
    if module.startswith("sqlalchemy."):
        return False
    autogen.imports.add(f"import {module}")
    if isinstance(thing, AutoString):
        length = f"length={thing.length}" if thing.length else ""
        return f"{module}.{type(thing).__name__}({length})"
    return f"{module}.{thing!r}"


def render_enum(thing: Enum) -> str:
    """Return how an enum is written: its type on PostgreSQL is made and dropped by its own steps."""
    parts = [repr(value) for value in thing.enums]
    if thing.name:
        parts.append(f"name={str(thing.name)!r}")
    if not thing.native_enum:
        parts.append(f"native_enum=False, length={thing.length}")
        if thing.create_constraint:
            parts.append("create_constraint=True")
    else:
        parts.append("create_type=False")
    return f"sa.Enum({', '.join(parts)})"


def invoked(autogen: Any, step: str, arguments: str) -> str:
    """Return how a step of ours is written, with its import."""
    autogen.imports.add(f"from sqlmodelkit.migrations import {step}")
    return f"op.invoke({step}({arguments}))"


def tidy(path: Path) -> None:
    """Take Alembic's marks out of a new migration, and format it where ruff is installed."""
    text = path.read_text(encoding="utf-8")
    text = re.sub(r"^    # ### .* ###\n", "", text, flags=re.MULTILINE)
    path.write_text(text.replace(", schema=None) as", ") as"), encoding="utf-8")
    if find_spec("ruff") is not None:
        for arguments in (["check", "--fix", "--select", "I"], ["format"]):
            subprocess.run(  # noqa: S603 - our own file
                [sys.executable, "-m", "ruff", *arguments, "--quiet", str(path)],
                check=False,
                capture_output=True,
            )
