"""Reads a Chinook database into models, serves them, and compares the answers with plain SQL.

`python -m tests.chinook URL` in an empty directory. It runs by itself, since classes of the same
names are made for each engine. It prints what differs, as JSON; nothing does.
"""

import asyncio
import importlib
import json
import sys
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType, new_class
from typing import Any, cast

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from fastapi import FastAPI
from fastapi.encoders import jsonable_encoder
from httpx2 import ASGITransport, AsyncClient
from pydantic import BaseModel, create_model
from sqlalchemy import Connection, MetaData, select
from sqlmodel import SQLModel

from sqlmodelkit import Database, ServiceBase
from sqlmodelkit.columns import columns_of, key_of, relations_of
from sqlmodelkit.fastapi import crud_router, install
from sqlmodelkit.inspection import inspect_database
from sqlmodelkit.migrations import Schema, init, revision

from .database import create_chinook

Rows = dict[str, list[dict[str, Any]]]


async def main(url: str) -> list[str]:
    """Return what differs."""
    db = Database(url)
    await create_chinook(db)
    module = await read_models(db)
    models = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, SQLModel) and hasattr(value, "__table__")
    ]
    async with db.engine.connect() as connection:
        differences = await connection.run_sync(drift)
    differences += await revisions(db)
    differences += await served(db, module, models)
    await db.close()
    return [f"{len(models)} models", *differences]


async def served(db: Database, module: ModuleType, models: list[type[SQLModel]]) -> list[str]:
    """Serve models with the schemas of their module; return where answers differ from plain SQL."""
    async with db.engine.connect() as connection:
        rows = await connection.run_sync(_all_rows)
    return await _compare(_application(db, module, models), models, rows)


async def read_models(db: Database) -> ModuleType:
    """Write the models of a database into the current directory, and import them."""
    source = await inspect_database(db, schemas=True)
    Path("read_models.py").write_text(source)  # noqa: ASYNC240 - nobody else is served
    sys.path.insert(0, str(Path.cwd()))
    return importlib.import_module("read_models")


def drift(connection: Connection) -> list[str]:
    """Return how the models that are imported differ from the database."""
    options = {"compare_type": True, "compare_server_default": True}
    context = MigrationContext.configure(connection, opts=options)
    return [f"drift: {step}" for step in compare_metadata(context, SQLModel.metadata)]


async def revisions(db: Database) -> list[str]:
    """Return what a first migration of the models would do to the database."""
    schema = Schema(SQLModel.metadata, Path("migrations"), db.settings)
    init(schema.directory)
    written = await revision(schema, "nothing")
    return [] if written is None else [f"revision: {note.text}" for note in written.notes]


def _all_rows(connection: Connection) -> Rows:
    metadata = MetaData()
    metadata.reflect(connection)
    return {
        name: [
            dict(row)
            for row in connection.execute(
                select(table).order_by(*table.primary_key.columns)
            ).mappings()
        ]
        for name, table in metadata.tables.items()
    }


def _application(db: Database, module: ModuleType, models: list[type[SQLModel]]) -> FastAPI:
    app = FastAPI()
    install(app, db)
    for model in models:
        app.include_router(
            crud_router(_service(module, model), public=True), prefix=f"/{model.__name__}"
        )
    return app


def _service(module: ModuleType, model: type[SQLModel]) -> type[ServiceBase[Any, Any, Any]]:
    """Return a service whose response shows every relation."""
    name = model.__name__
    relations: dict[str, Any] = {}
    for field, relation in relations_of(model).items():
        public: Any = getattr(module, f"{relation.mapper.class_.__name__}Public")
        relations[field] = (list[public] if relation.uselist else public | None, ...)
    detail = create_model(f"{name}Detail", __base__=getattr(module, f"{name}Public"), **relations)
    kinds = (model, getattr(module, f"{name}Create"), getattr(module, f"{name}Update"))
    generic: Any = ServiceBase
    base = generic[kinds]
    return new_class(f"{name}Service", (base,), {}, lambda body: body.update(public=detail))


async def _compare(app: FastAPI, models: list[type[SQLModel]], rows: Rows) -> list[str]:
    differences: list[str] = []
    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        for model in models:
            expected = [_expected(model, row, rows) for row in rows[_table(model)]]
            for row in expected:
                key = "/".join(str(row[name]) for name in key_of(model))
                answer = await client.get(f"/{model.__name__}/{key}")
                if answer.json() != row:
                    differences.append(f"{model.__name__} {key}: {answer.text} is not {row}")
            listed = await _listed(client, f"/{model.__name__}", ",".join(key_of(model)))
            if listed != expected:
                differences.append(f"the list of {model.__name__} differs")
        differences += await _write(client)
    return differences


async def _listed(client: AsyncClient, path: str, sort: str) -> list[Any]:
    found: list[Any] = []
    while True:
        parameters: dict[str, str | int] = {"limit": 100, "offset": len(found), "sort": sort}
        page = (await client.get(path, params=parameters)).json()
        found += page["items"]
        if len(found) >= page["total"]:
            return found


async def _write(client: AsyncClient) -> list[str]:
    """Add, change and remove an artist; its key is given where the database counts none."""
    given = {"artist_id": 900, "name": "Nobody"}
    created = await client.post("/Artist", json=given)
    if created.status_code == 422:
        created = await client.post("/Artist", json={"name": "Nobody"})
    path = f"/Artist/{created.json()['artist_id']}"
    changed = await client.patch(path, json={"name": "Somebody"})
    removed = await client.delete(path)
    refused = await client.delete("/Artist/1")
    statuses = [answer.status_code for answer in (created, changed, removed, refused)]
    return [] if statuses == [201, 200, 204, 409] else [f"writing: {statuses} {refused.text}"]


def _expected(model: type[SQLModel], row: dict[str, Any], rows: Rows) -> Any:
    expected = _flat(model, row)
    for name, relation in relations_of(model).items():
        found = [_flat(relation.mapper.class_, other) for other in _related(relation, row, rows)]
        expected[name] = found if relation.uselist else next(iter(found), None)
    return jsonable_encoder(expected)


def _flat(model: type[SQLModel], row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: str(row[column.name])
        if type(row[column.name]).__name__ == "Decimal"
        else row[column.name]
        for name, column in columns_of(model).items()
    }


def _related(relation: Any, row: dict[str, Any], rows: Rows) -> Iterator[dict[str, Any]]:
    others = rows[_table(relation.mapper.class_)]
    if relation.secondary is None:
        yield from _matching(others, row, relation.local_remote_pairs)
        return
    for link in _matching(rows[relation.secondary.name], row, relation.synchronize_pairs):
        pairs = [(remote, local) for local, remote in relation.secondary_synchronize_pairs]
        yield from _matching(others, link, pairs)


def _matching(
    others: Iterable[dict[str, Any]], row: dict[str, Any], pairs: Iterable[tuple[Any, Any]]
) -> Iterator[dict[str, Any]]:
    names = [(local.name, remote.name) for local, remote in pairs]
    for other in others:
        if all(row[local] is not None and row[local] == other[remote] for local, remote in names):
            yield other


def _table(model: type[BaseModel]) -> str:
    return str(cast("Any", model).__table__.name)


if __name__ == "__main__":
    warnings.simplefilter("error")
    print(json.dumps(asyncio.run(main(sys.argv[1])), indent=1))  # noqa: T201
