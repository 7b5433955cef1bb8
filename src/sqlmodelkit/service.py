"""How rows are used and changed: the CRUD verbs over one table, in a unit of work. Ring 9.

Start at `ServiceBase`. Services flush, so that keys, defaults and refusals of the database appear
at the call; they never commit: the unit of work does.
"""

from collections.abc import Iterable, Mapping, Sequence
from types import EllipsisType
from typing import Any, ClassVar, Generic, TypeVar, cast, get_args, get_origin, overload

from pydantic import BaseModel
from sqlalchemy import JSON, Column, delete, inspect, null
from sqlalchemy import update as sql_update
from sqlalchemy.orm.attributes import set_committed_value
from sqlmodel import SQLModel

from .aggregates import Aggregates
from .answers import Answers
from .changes import Changes, CreateT, UpdateT
from .columns import (
    check,
    columns_of,
    key_of,
    key_values,
    mapper_of,
    relations_of,
    row_key,
)
from .errors import ConfigError, InvalidValue, NotFound, StaleVersion
from .filters import check_key, compile_filters
from .models import SoftDelete, Version, utcnow
from .nesting import check_nested, children, made, unknown_fields
from .plan import Plan
from .reads import ModelT, P
from .sessions import INCLUDE_DELETED, translating
from .versions import check_version, expected_version, stale
from .walks import Walks
from .writes import Writer


class ServiceBase(
    Answers[ModelT],
    Walks[ModelT],
    Aggregates[ModelT],
    Changes[ModelT, CreateT, UpdateT],
    Generic[ModelT, CreateT, UpdateT],
):
    """Reads and writes rows of one table.

    ```python
    class HeroService(ServiceBase[Hero, HeroCreate, HeroUpdate]):
        public = HeroPublic
    ```

    One instance belongs to one unit of work: `HeroService(session)`, or in an endpoint
    `Annotated[HeroService, service(HeroService)]`.

    Attributes:
        model: The table model.
        create_model: What `create` takes.
        update_model: What `update` takes; only fields that were set are written.
        public: The response model of generated endpoints.
        filterable: What clients may filter by: fields, paths, or one with an operator; `...` stands
            for what `public` shows.
        sortable: What clients may sort by; `...` stands for what `public` shows.
        searchable: The fields in which `q=` looks for words.
    """

    public: ClassVar[type[BaseModel]]
    filterable: ClassVar[Sequence[str | EllipsisType]] = (...,)
    sortable: ClassVar[Sequence[str | EllipsisType]] = (...,)
    searchable: ClassVar[Sequence[str]] = ()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for parent in getattr(cls, "__orig_bases__", ()):
            arguments = get_args(parent)
            if get_origin(parent) is ServiceBase and not any(
                isinstance(argument, TypeVar) for argument in arguments
            ):
                cls.model, cls.create_model, cls.update_model = arguments

    @classmethod
    def check(cls) -> None:
        """Refuse a service whose models do not fit together; the FastAPI edge calls it at import.

        Raises:
            ConfigError: The error names the model, the field and the fix.
        """
        if not hasattr(cls, "model"):
            raise ConfigError(
                f"{cls.__name__} does not say which models it is for.",
                hint=f"Write class {cls.__name__}(ServiceBase[Hero, HeroCreate, HeroUpdate]).",
            )
        columns = columns_of(cls.model)
        for schema, hook in (
            (cls.create_model, "create_values"),
            (cls.update_model, "update_values"),
        ):
            if hasattr(schema, "__table__"):
                raise ConfigError(
                    f"{cls.__name__} takes the table {schema.__name__} as input.",
                    hint="Clients could set every column; declare a model of the allowed fields.",
                )
            is_new = schema is cls.create_model
            unknown = (
                unknown_fields(cls.model, schema)
                if is_new
                else [name for name in schema.model_fields if name not in columns]
            )
            if unknown and getattr(cls, hook) is getattr(ServiceBase, hook):
                raise ConfigError(
                    f"{schema.__name__} has fields without a column: {', '.join(unknown)}.",
                    hint=f"Remove them, or override {hook} in {cls.__name__}.",
                    fields=unknown,
                )
        keys = [name for name in cls.update_model.model_fields if name in key_of(cls.model)]
        if keys:
            raise ConfigError(
                f"{cls.update_model.__name__} would change the key: {', '.join(keys)}.",
                fields=keys,
            )
        if issubclass(cls.model, Version) and mapper_of(cls.model).version_id_col is None:
            raise ConfigError(
                f"{cls.model.__name__} sets __mapper_args__ and so loses the check of its version.",
                hint='Add "version_id_col": its column version to them.',
            )
        cls._check_cascades()
        if hasattr(cls, "public"):
            cls.plan(cls.public)

    @classmethod
    def _check_cascades(cls) -> None:
        for relation in relations_of(cls.model).values():
            columns = relation.remote_side if relation.uselist else ()
            foreign = {key for column in columns for key in column.foreign_keys}
            if relation.cascade.delete and any(key.ondelete != "CASCADE" for key in foreign):
                raise ConfigError(
                    f"{cls.model.__name__}.{relation.key} cascades in Python only.",
                    hint='Put ondelete="CASCADE" on the foreign key: the database deletes.',
                )

    @overload
    async def create(self, data: CreateT) -> ModelT: ...
    @overload
    async def create(self, data: CreateT, *, into: type[P]) -> P: ...
    async def create(self, data: CreateT, *, into: type[BaseModel] | None = None) -> Any:
        """Add a row and return it with its key and defaults.

        Fields of the input that are lists of input models for a relation add its rows with it.

        Raises:
            InvalidValue: A value does not fit its column.
            UniqueViolation: A row with these values exists.
            ForeignKeyViolation: The row refers to a missing one.
            CheckViolation: A value breaks a check constraint.
        """
        if into is None:
            return (await self._add([await self._created(data)]))[0]
        plan = self.plan(into)
        key, item = await self._insert_one(data, plan, last=False)
        return await self.get(key, into=into) if item is None else plan.build(item)

    async def create_json(
        self, data: CreateT, *, into: type[BaseModel], last: bool = False
    ) -> bytes:
        """Add a row and return it as the JSON that FastAPI would answer for `into`.

        Args:
            data: The input.
            into: The response model.
            last: Whether nothing else happens in the unit of work, so that one statement that
                does it all needs no transaction around it.

        Raises:
            InvalidValue, UniqueViolation, ForeignKeyViolation, CheckViolation: As `create`.
        """
        plan = self.plan(into)
        if type(self).create is not ServiceBase.create:
            return plan.print(await self.create(data, into=into))
        key, item = await self._insert_one(data, plan, last=last and plan.prints_rows)
        return await self.get_json(key, into=into) if item is None else plan.dump([item])[1:-1]

    @overload
    async def create_many(self, rows: Iterable[CreateT]) -> list[ModelT]: ...
    @overload
    async def create_many(self, rows: Iterable[CreateT], *, into: type[P]) -> list[P]: ...
    async def create_many(
        self, rows: Iterable[CreateT], *, into: type[BaseModel] | None = None
    ) -> list[Any]:
        """Add rows, all or none, and return them in the order given.

        Raises:
            InvalidValue: As `create`; its `row` says which of them it is, counted from 0.
            UniqueViolation, ForeignKeyViolation, CheckViolation: As `create`.
        """
        values = []
        for number, data in enumerate(rows):
            try:
                values.append(await self._created(data))
            except InvalidValue as error:
                raise error.in_row(number) from error
        added = await self._add(values)
        if into is None:
            return list(added)
        return await self.get_many([row_key(self.model)(row) for row in added], into=into)

    @overload
    async def update(self, key: Any, data: UpdateT, *, version: int | None = None) -> ModelT: ...
    @overload
    async def update(
        self, key: Any, data: UpdateT, *, into: type[P], version: int | None = None
    ) -> P: ...
    async def update(
        self,
        key: Any,
        data: UpdateT,
        *,
        into: type[BaseModel] | None = None,
        version: int | None = None,
    ) -> Any:
        """Write the fields that were set, and no others, in one UPDATE.

        Args:
            key: The row's key.
            data: The input.
            into: The response model to answer.
            version: The version that the caller has read; the UPDATE itself compares it. Left
                out, it is that of the row in the session, if it is there.

        Raises:
            NotFound: There is no such row.
            StaleVersion: Somebody else has changed the row since it was read.
            InvalidValue, UniqueViolation, ForeignKeyViolation, CheckViolation: As `create`.
        """
        if into is None:
            return await self._change(key, await self._updated(data), version)
        plan = self.plan(into)
        known, item = await self._update_one(key, data, plan, last=False, version=version)
        return plan.build(item) if known else await self.get(key, into=into)

    async def update_json(
        self,
        key: Any,
        data: UpdateT,
        *,
        into: type[BaseModel],
        last: bool = False,
        version: int | None = None,
    ) -> bytes:
        """Write the fields that were set, and return the row as JSON, as FastAPI would answer it.

        Args:
            key: The row's key.
            data: The input.
            into: The response model.
            last: Whether nothing else happens in the unit of work, so that one statement that
                does it all needs no transaction around it.
            version: The version that the caller has read, as for `update`.

        Raises:
            NotFound, StaleVersion, InvalidValue, UniqueViolation: As `update`.
        """
        plan = self.plan(into)
        if type(self).update is not ServiceBase.update:
            # An override need not know of versions.
            told: dict[str, Any] = {} if version is None else {"version": version}
            return plan.print(await self.update(key, data, into=into, **told))
        last = last and plan.prints_rows
        known, item = await self._update_one(key, data, plan, last=last, version=version)
        return plan.dump([item])[1:-1] if known else await self.get_json(key, into=into)

    async def delete(self, key: Any, *, version: int | None = None) -> None:
        """Remove a row: softly where the model has `SoftDelete`, otherwise for good.

        What refers to the row is the database's matter: `ondelete` cascades or sets NULL, without
        it the row stays.

        Args:
            key: The row's key.
            version: The version that the caller has read, as for `update`.

        Raises:
            NotFound: There is no such row.
            StaleVersion: Somebody else has changed the row since it was read.
            ForeignKeyViolation: It is still referred to.
        """
        if issubclass(self.model, SoftDelete):
            await self._write(key, self._update({"deleted_at": utcnow()}), version)
        else:
            await self._write(key, delete(self.model), version)

    @overload
    async def restore(self, key: Any, *, version: int | None = None) -> ModelT: ...
    @overload
    async def restore(self, key: Any, *, into: type[P], version: int | None = None) -> P: ...
    async def restore(
        self, key: Any, *, into: type[BaseModel] | None = None, version: int | None = None
    ) -> Any:
        """Bring a soft-deleted row back.

        Args:
            key: The row's key.
            into: The response model to answer.
            version: The version that the caller has read, as for `update`.

        Raises:
            NotFound: There is no such row, or it is not deleted.
            StaleVersion: Somebody else has changed the row since it was read.
            UniqueViolation: Another row has taken its place.
            ConfigError: The model has no `SoftDelete`.
        """
        if not issubclass(self.model, SoftDelete):
            raise ConfigError(
                f"{self.model.__name__} cannot be restored.", hint="Give it the mixin SoftDelete."
            )
        deleted: Any = self.model.deleted_at
        statement = self._update({"deleted_at": None}).where(deleted.is_not(None))
        await self._write(
            key,
            statement.execution_options(**{INCLUDE_DELETED: True}),
            version,
            deleted_at__is_not=None,
        )
        return await (self.get(key) if into is None else self.get(key, into=into))

    async def _insert_one(
        self, data: CreateT, plan: Plan[Any], *, last: bool
    ) -> tuple[Any, dict[str, Any] | None]:
        """Add a row; answer its key, and what the plan shows of it where that is known."""
        values = await self._created(data)
        if self._writer.can("insert") and not children(self.model, values):
            return await self._writer.insert(values, plan, last=last)
        (row,) = await self._add([values])
        return row_key(self.model)(row), None

    async def _update_one(
        self, key: Any, data: UpdateT, plan: Plan[Any], *, last: bool, version: int | None
    ) -> tuple[bool, Any]:
        """Change a row; answer whether what the plan shows of it is known, and that."""
        values = await self._updated(data)
        parts = key_values(self.model, key)
        check_version(self.model, version)
        by_session = set(parts) & set(values) or type(self).get is not ServiceBase.get
        # Without RETURNING nothing would tell whether the version was the row's.
        blind = version is not None and not (plan.is_flat and self._unit.can_return("update"))
        if not values or by_session or blind or not self._writer.can("update"):
            await self._change(key, values, version)
            return False, None
        found = check_key(
            self.model,
            parts if version is None else {**parts, "version": version},
            dialect=self._unit.dialect,
        )
        known, item = await self._writer.update(found, values, plan, last=last)
        if known and item is None:
            raise await self._missed(key, version)
        return known, item

    async def _updated(self, data: UpdateT) -> dict[str, Any]:
        values = await self.update_values(data)
        check(self.model, values)
        self._unit.scope.check_update(self.model, values)
        return values

    async def _created(self, data: CreateT) -> dict[str, Any]:
        values = await self.create_values(data)
        check_nested(self.model, values)
        return self._unit.scope.stamp(self.model, values)

    async def _change(
        self, key: Any, values: Mapping[str, Any], version: int | None = None
    ) -> ModelT:
        check_version(self.model, version)
        # With the lock the row is read anew; a change to what it is already sends no UPDATE that
        # would compare the version.
        row: ModelT = await (self.get(key) if version is None else self.get(key, lock=True))
        if version is not None and inspect(row).dict.get("version") != version:
            raise stale(self.model)
        for name, value in values.items():
            setattr(row, name, value)
        columns = columns_of(self.model)
        nulls = _set_nulls(row, [name for name in values if isinstance(columns[name].type, JSON)])
        with translating():
            await self.session.flush()
        for name in nulls:
            set_committed_value(row, name, None)
        return row

    @property
    def _writer(self) -> Writer:
        return Writer(self.model, self._unit, self._statements)

    async def _add(self, rows: Sequence[Mapping[str, Any]]) -> list[ModelT]:
        families = [list(made(self.model, values)) for values in rows]
        added: list[Any] = [row for family in families for row in family]
        nulls = []
        for row in added:
            given = [
                name
                for name, column in columns_of(type(row)).items()
                if isinstance(column.type, JSON)
                or (name in row.model_fields_set and _has_default(column))
            ]
            nulls.append(_set_nulls(row, given))
        with translating():
            self.session.add_all(added)
            await self.session.flush()
        for row, names in zip(added, nulls, strict=True):
            for name in names:
                set_committed_value(row, name, None)
        return [cast("ModelT", family[0]) for family in families]

    def _update(self, values: Mapping[str, Any]) -> Any:
        if issubclass(self.model, Version):
            version: Any = self.model.version
            values = {**values, "version": version + 1}
        return sql_update(self.model).values(**values)

    async def _write(
        self, key: Any, statement: Any, version: int | None, **conditions: Any
    ) -> None:
        """Run an UPDATE or DELETE of the row with this key, which has the version it was read at."""
        expected = await expected_version(self.session, self.model, key, version)
        parts = key_values(self.model, key)
        if expected is not None:
            parts["version"] = expected
        matches = compile_filters(self.model, conditions=parts, dialect=self._unit.dialect)
        with translating():
            result = await self.session.exec(statement.where(*matches))
        if result.rowcount == 0:
            raise await self._missed(key, expected, **conditions)

    async def _missed(
        self, key: Any, version: int | None, **conditions: Any
    ) -> NotFound | StaleVersion:
        """Say why no row was met: it has moved on, or there is none."""
        if version is not None:
            # Read with a lock, which sees what others have committed since this transaction began.
            parts = {**key_values(self.model, key), **conditions}
            found = await self._reader.rows(
                self._select((), parts, bool(conditions)), (), lock=True
            )
            if found:
                return stale(self.model)
        return self._not_found(key)


def _has_default(column: Column[Any]) -> bool:
    return column.default is not None or column.server_default is not None


def _set_nulls(row: SQLModel, names: Iterable[str]) -> list[str]:
    """Make NULL of what is None, and say where.

    Otherwise the column's default would win over it, or JSON would store its own null.
    """
    found = [name for name in names if getattr(row, name) is None]
    for name in found:
        setattr(row, name, null())
    return found
