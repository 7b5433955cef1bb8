"""FastAPI's ordinary answer for generated models, worked out without the plan.

Start at `Models` (the classes, made from source) and `Ordinary` (what they have to answer).
"""

import itertools
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from types import GenericAlias, ModuleType
from typing import Any

from pydantic import BaseModel, TypeAdapter
from sqlalchemy import ColumnElement, delete, insert, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload, with_loader_criteria
from sqlalchemy.orm.attributes import set_committed_value
from sqlmodel import SQLModel

from sqlmodelkit import Database, ServiceBase, SoftDelete
from tests.plan import scope
from tests.plan.responses import Response
from tests.plan.schemas import Schema, Table
from tests.plan.worlds import Question, World

_numbers = itertools.count(1)

Answer = bytes | Exception
"""What is printed, or the refusal."""

Ranks = dict[str, dict[Any, int]]
"""For each table the places of its keys in the database's order."""


def _live(model: type[Any]) -> ColumnElement[bool]:
    # SQLAlchemy also asks for the mixin itself, which has no column.
    column = getattr(model, "deleted_at", None)
    return true() if column is None else column.is_(None)


def _scoped(statement: Any, *, include_deleted: bool) -> Any:
    if include_deleted:
        return statement
    rule = with_loader_criteria(
        SoftDelete, _live, include_aliases=True, track_closure_variables=False
    )
    return statement.options(rule)


class Ordinary:
    """FastAPI's answer for a response model: table rows, validated by attribute and printed."""

    def __init__(self, response: Response, models: "Models") -> None:
        self.response = response
        self.models = models
        listed: Any = GenericAlias(list, models.response(response))
        self.adapter: TypeAdapter[Any] = TypeAdapter(listed)
        self.texts: dict[Any, Answer] = {}

    async def read(self, session: AsyncSession, ranks: Ranks, *, include_deleted: bool) -> None:
        """Print every row by itself."""
        statement = select(self.models.table(self.response.table))
        statement = statement.options(*self._options(self.response))
        rows = (await session.scalars(_scoped(statement, include_deleted=include_deleted))).all()
        for row in rows:
            self._sort(row, self.response, ranks)
        self.texts = {key_of(self.response.table, row): self._print(row) for row in rows}

    def _options(self, response: Response) -> list[Any]:
        model: Any = self.models.table(response.table)
        return [
            selectinload(getattr(model, each.relation.name)).options(*self._options(each.response))
            for each in response.nested
        ]

    def _sort(self, row: Any, response: Response, ranks: Ranks) -> None:
        """Put collections that declare no order into that of their keys."""
        for each in response.nested:
            found = getattr(row, each.relation.name)
            inner = each.response.table
            if each.relation.many and not each.relation.ordered:
                found = sorted(found, key=lambda one: ranks[inner.name][key_of(inner, one)])
                set_committed_value(row, each.relation.name, found)
            for one in found if each.relation.many else [found] if found else []:
                self._sort(one, each.response, ranks)

    def _print(self, row: Any) -> Answer:
        try:
            models = self.adapter.validate_python([row], from_attributes=True)
            return self.adapter.dump_json(models, by_alias=True)[1:-1]
        except Exception as error:  # noqa: BLE001 - whatever it is, it has to be refused
            return error

    def answer(self, keys: Sequence[Any]) -> Answer:
        """Return the answer for these rows: a refusal when one of them is refused."""
        texts = []
        for key in keys:
            text = self.texts[key]
            if isinstance(text, Exception):
                return text
            texts.append(text)
        return b"[%b]" % b",".join(texts)


def key_of(table: Table, row: Any) -> Any:
    parts = tuple(getattr(row, column.name) for column in table.key)
    return parts if len(table.key) > 1 else getattr(row, table.key[0].name)


class Models:
    """The classes of an example, made from its source, in a registry of their own."""

    def __init__(self, schema: Schema, responses: Sequence[Response]) -> None:
        self.schema = schema
        self.prefix = f"g{next(_numbers)}_"
        parts = [schema.source(self.prefix), *(one.source for one in responses)]
        self.source = "\n\n".join(parts)
        # A module without a file: Python 3.13 would look for the classes in that of `scope`.
        module = ModuleType(f"{__name__}.{self.prefix}")
        self._names: dict[str, Any] = vars(module)
        self._names |= {name: value for name, value in vars(scope).items() if name[:2] != "__"}
        sys.modules[module.__name__] = module
        exec(compile(self.source, "<generated>", "exec"), self._names)  # noqa: S102 - our own text
        self.base: type[SQLModel] = self._names["Base"]
        self._services: dict[str, type[ServiceBase[Any, Any, Any]]] = {}

    def table(self, table: Table) -> type[Any]:
        """Return the class of a table."""
        found: type[Any] = self._names[table.name]
        return found

    def response(self, response: Response) -> type[BaseModel]:
        """Return the class of a response model."""
        found: type[BaseModel] = self._names[response.name]
        return found

    def shown(self, response: Response) -> str:
        """Return the source of the tables and of one response model."""
        return f"{self.schema.source(self.prefix)}\n\n{response.source}"

    def service(self, table: Table) -> type[ServiceBase[Any, Any, Any]]:
        """Return a service of a table."""
        if table.name not in self._services:
            model = self.table(table)
            self._services[table.name] = type("Service", (ServiceBase,), {"model": model})
        return self._services[table.name]

    def dispose(self, db: Database) -> None:
        """Let go of the classes, so that they can be collected."""
        registry: Any = self.base._sa_registry
        registry.dispose()
        # `typing` keeps the last hundred annotations, whose functions lead here.
        sys.modules.pop(self._names["__name__"], None)
        self._names.clear()
        self._services.clear()
        for engine in db._engines():
            engine.sync_engine.clear_compiled_cache()
            # What a dialect keeps of an Enum leads, by way of its metadata, to all of its tables.
            engine.sync_engine.dialect._type_memos.clear()
        for name, module in list(sys.modules.items()):
            if name.startswith("sqlmodelkit"):
                for kept in vars(module).values():
                    if callable(clear := getattr(kept, "cache_clear", None)):
                        clear()


@asynccontextmanager
async def made(
    db: Database, schema: Schema, responses: Sequence[Response]
) -> AsyncIterator[Models]:
    models = Models(schema, responses)
    try:
        async with db.engine.begin() as connection:
            await connection.run_sync(models.base.metadata.create_all)
        yield models
    finally:
        async with db.engine.begin() as connection:
            await connection.run_sync(models.base.metadata.drop_all)
        models.dispose(db)


async def fill(db: Database, models: Models, schema: Schema, world: World) -> None:
    """Put a set of data in place of what is there."""
    async with db.engine.begin() as connection:
        for table in reversed(schema.tables):
            await connection.execute(delete(models.table(table).__table__))
        for table in schema.tables:
            model: Any = models.table(table)
            for row in world[table.name]:
                columns = {model.__mapper__.columns[name].key: value for name, value in row.items()}
                await connection.execute(insert(model.__table__), [columns])


async def ranks_of(session: AsyncSession, models: Models, schema: Schema) -> Ranks:
    """Ask the database for the order of every table's keys."""
    ranks: Ranks = {}
    for table in schema.tables:
        keys = await session.execute(select(*_keys(models, table)).order_by(*_keys(models, table)))
        found = [tuple(row) if len(table.key) > 1 else row[0] for row in keys]
        ranks[table.name] = {key: number for number, key in enumerate(found)}
    return ranks


def _keys(models: Models, table: Table) -> list[Any]:
    return [getattr(models.table(table), column.name) for column in table.key]


async def matching(
    session: AsyncSession, models: Models, table: Table, question: Question
) -> list[Any]:
    """Return the keys of all rows that a question is about, in its order."""
    model = models.table(table)
    keys = _keys(models, table)
    statement = select(model)
    if question.compared:
        name, operator, value = question.compared
        column = getattr(model, name)
        conditions = {"eq": column == value, "ne": column != value, "is": column.is_(None)}
        statement = statement.where(column >= value if operator == "gte" else conditions[operator])
    if question.sort:
        column = getattr(model, question.sort.removeprefix("-"))
        null = column.is_(None)
        down = question.sort.startswith("-")
        statement = statement.order_by(*((null.desc(), column.desc()) if down else (null, column)))
    scoped = _scoped(statement.order_by(*keys), include_deleted=question.include_deleted)
    return [key_of(table, row) for row in await session.scalars(scoped)]
