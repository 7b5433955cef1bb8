"""`sqlmodelkit db inspect`, `diagram` and `shell`: what is in a database that is there.

Start at `inspect`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from sqlalchemy import MetaData

from sqlmodelkit import ConfigError, Database, DatabaseSettings, diagrams
from sqlmodelkit.catalogs import reflect
from sqlmodelkit.consoles import run_shell
from sqlmodelkit.inspection import OUR_OWN, inspect_database
from sqlmodelkit.projects import find_project

from .db import UrlOption, settings_of
from .output import JsonFlag, show

T = TypeVar("T")

OnlyOption = Annotated[
    list[str] | None, typer.Option("--only", help="A table to take; may be given several times.")
]


def inspect(
    *,
    url: UrlOption = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write a file that is not there yet.")
    ] = None,
    schemas: Annotated[
        bool, typer.Option("--schemas", help="Write the five classes of each table.")
    ] = False,
    only: OnlyOption = None,
    schema: Annotated[str | None, typer.Option(help="A schema of PostgreSQL.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Write SQLModel models of the tables that a database has."""
    if output is not None:
        if output.exists():
            raise ConfigError(f"{output} is there already.", hint="Name another file.")
        _check_directory(output)
    settings = settings_of(url)

    async def work(db: Database) -> str:
        return await inspect_database(db, schemas=schemas, only=only or (), schema=schema)

    source = asyncio.run(_with(settings, work))
    if output is not None:
        output.write_text(source, encoding="utf-8")
    classes = source.count("\nclass ")
    told = source.rstrip("\n") if output is None else f"{output}: {classes} classes"
    path = None if output is None else str(output)
    show(told, data={"path": path, "classes": classes, "source": source}, as_json=as_json)


def diagram(
    path: Annotated[
        Path | None,
        typer.Argument(help="A file .svg, .png, .mmd or .md; left out, Mermaid is printed."),
    ] = None,
    *,
    only: OnlyOption = None,
    url: Annotated[
        str | None, typer.Option("--url", help="Draw the tables of this database instead.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Draw the tables of the project's models, or of a database."""
    if path is not None:
        _check_directory(path)
    metadata = find_project().load_models() if url is None else asyncio.run(_reflected(url))
    drawn = diagrams.Diagram.of(metadata, only=only or ())
    if path is not None:
        diagrams.write(drawn, path)
    text = diagrams.mermaid(drawn)
    told = text.rstrip("\n") if path is None else f"{path}: {len(drawn.entities)} tables"
    data = {
        "path": None if path is None else str(path),
        "tables": [entity.name for entity in drawn.entities],
        "mermaid": text,
    }
    show(told, data=data, as_json=as_json)


def shell(url: UrlOption = None) -> None:
    """Open a Python with `await`, the database, a session, the models and the services."""
    metadata = find_project().load_models()

    async def work(db: Database) -> None:
        await run_shell(db, metadata)

    asyncio.run(_with(settings_of(url), work))


def _check_directory(path: Path) -> None:
    if not path.parent.is_dir():
        raise ConfigError(f"There is no directory {path.parent}.", hint="Make it first.")


async def _reflected(url: str) -> MetaData:
    async def work(db: Database) -> MetaData:
        async with db.engine.connect() as connection:
            metadata = await connection.run_sync(reflect)
        for name in OUR_OWN:
            if name in metadata.tables:
                metadata.remove(metadata.tables[name])
        return metadata

    return await _with(DatabaseSettings(url=url), work)


async def _with(settings: DatabaseSettings, work: Callable[[Database], Awaitable[T]]) -> T:
    db = Database(settings=settings)
    try:
        return await work(db)
    finally:
        await db.close()
