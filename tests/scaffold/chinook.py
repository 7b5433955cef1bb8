"""Reads a Chinook database into tables, adds their schemas, and compares what is then served.

`python -m tests.scaffold.chinook URL` in an empty directory; it prints what differs, as JSON.
"""

import asyncio
import importlib
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType, new_class
from typing import Any

from pydantic import create_model
from sqlmodel import SQLModel

from sqlmodelkit import AsyncSession, Database, ServiceBase
from sqlmodelkit.columns import columns_of, relations_of
from sqlmodelkit.inspection import inspect_database
from tests.chinook.__main__ import served
from tests.chinook.database import create_chinook
from tests.scaffold.test_schemas import SETTINGS

INPUT = ("Create", "Update")


def add_schemas(names: list[str]) -> None:
    """Add the schemas of each table, in a process of its own as a person would."""
    for name in names:
        command = [sys.executable, "-m", "sqlmodelkit", "add", "schemas", f"chinook:{name}"]
        subprocess.run(command, check=True)


def columns_only(module: ModuleType, names: list[str]) -> ModuleType:
    """Return a module whose responses show no relations, which the comparison adds itself."""
    flat = ModuleType("flat")
    vars(flat).update(vars(module))
    for name in names:
        fields = getattr(module, f"{name}Public").model_fields
        columns = columns_of(getattr(module, name))
        kinds: Any = {
            each: (fields[each].annotation, fields[each]) for each in fields if each in columns
        }
        setattr(flat, f"{name}Public", create_model(f"{name}Public", **kinds))
    return flat


async def lost(session: AsyncSession, module: ModuleType, model: type[SQLModel]) -> list[str]:
    """Return the relations of a response that do not show the row that the foreign key names."""
    public = getattr(module, f"{model.__name__}Public")
    kinds: Any = (model, *(getattr(module, f"{model.__name__}{part}") for part in INPUT))
    generic: Any = ServiceBase
    service = new_class(f"{model.__name__}Shown", (generic[kinds],))(session)
    page = await service.page(limit=100, into=public)
    wrong = [] if page.items else [f"{model.__name__}: no rows"]
    for name, relation in relations_of(model).items():
        if name not in public.model_fields or relation.uselist:
            continue
        ((ours, theirs),) = relation.local_remote_pairs
        for item in page.items:
            shown = getattr(item, name)
            key = getattr(item, attribute_of(model, ours))
            target = relation.mapper.class_
            if key != (shown and getattr(shown, attribute_of(target, theirs))):
                wrong.append(f"{model.__name__}.{name}: {item}")
    return wrong


def attribute_of(model: type[SQLModel], column: Any) -> str:
    """Return the attribute of a column."""
    return next(name for name, each in columns_of(model).items() if each is column)


async def main(url: str) -> list[str]:
    """Return what differs."""
    db = Database(url)
    await create_chinook(db)
    source = await inspect_database(db)
    Path("chinook.py").write_text(source)  # noqa: ASYNC240 - nobody else is served
    Path("pyproject.toml").write_text(SETTINGS.format(package="chinook"))  # noqa: ASYNC240
    names = [
        line.split()[1].split("(")[0] for line in source.splitlines() if ", table=True" in line
    ]
    add_schemas(names)
    sys.path.insert(0, str(Path.cwd()))
    module = importlib.import_module("chinook")
    models: list[type[SQLModel]] = [getattr(module, name) for name in names]
    differences = await served(db, columns_only(module, names), models)
    async with db.session() as session:
        for model in models:
            differences += await lost(session, module, model)
    await db.close()
    return [f"{len(models)} models", *differences]


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(sys.argv[1]))))  # noqa: T201
