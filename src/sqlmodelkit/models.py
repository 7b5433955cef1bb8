"""What is stored: mixins for keys, time stamps, soft delete, scope and versions. Ring 1.

Start at `UUIDKey` and `Timestamps`. Importing this module gives `SQLModel.metadata` a naming
convention, so that every constraint has a name that errors and migrations can refer to.
"""

import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import (
    JSON,
    DateTime,
    Index,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Time,
    event,
    inspect,
    text,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import declared_attr
from sqlalchemy.sql.compiler import DDLCompiler, SQLCompiler, TypeCompiler
from sqlalchemy.sql.ddl import CreateIndex, DropIndex
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import UserDefinedType
from sqlmodel import Field, SQLModel
from sqlmodel.sql.sqltypes import UTCDateTime

from .errors import ConfigError

if sys.version_info >= (3, 14):
    from uuid import uuid7 as uuid7  # noqa: PLC0414 - also for others
else:
    from uuid_utils.compat import uuid7 as uuid7  # noqa: PLC0414 - also for others

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
"""How constraints and indexes are named; set your own before importing sqlmodelkit to keep it."""

if SQLModel.metadata.naming_convention == MetaData().naming_convention:
    SQLModel.metadata.naming_convention = NAMING_CONVENTION


class utcnow(FunctionElement[datetime]):  # noqa: N801 - an SQL function, named like func.now
    """The database's clock in UTC, with the microseconds it has."""

    type = UTCDateTime()
    inherit_cache = True


@compiles(utcnow)
def _utcnow(element: utcnow, compiler: SQLCompiler, **options: Any) -> str:
    return "CURRENT_TIMESTAMP"


@compiles(utcnow, "sqlite")
def _utcnow_sqlite(element: utcnow, compiler: SQLCompiler, **options: Any) -> str:
    # Milliseconds are what SQLite has; padded, so that text sorts like time.
    return "(strftime('%Y-%m-%d %H:%M:%f000', 'now'))"


@compiles(utcnow, "mysql", "mariadb")
def _utcnow_mysql(element: utcnow, compiler: SQLCompiler, **options: Any) -> str:
    return "(utc_timestamp(6))"


class OtherType(UserDefinedType[Any]):
    """A type of the database that SQLAlchemy has no class for: `sa_type=OtherType("xml")`.

    Values are what the driver takes and gives.
    """

    cache_ok = True

    def __init__(self, name: str) -> None:
        """Name it in the database's words, as `geometry(Point, 4326)`."""
        self.name = name

    def get_col_spec(self, **options: Any) -> str:
        """Return how a column of it is declared."""
        return self.name


@compiles(DateTime, "mysql", "mariadb")
@compiles(UTCDateTime, "mysql", "mariadb")
def _datetime_mysql(element: Any, compiler: TypeCompiler, **options: Any) -> str:
    # Without a precision MySQL and MariaDB cut a DATETIME to whole seconds.
    return "DATETIME(6)"


@compiles(Time, "mysql", "mariadb")
def _time_mysql(element: Any, compiler: TypeCompiler, **options: Any) -> str:
    return "TIME(6)"


@compiles(PrimaryKeyConstraint, "mysql", "mariadb")
def _primary_key_mysql(element: PrimaryKeyConstraint, compiler: DDLCompiler, **options: Any) -> str:
    # MySQL ignores the name of a primary key, and warns about it at every CREATE TABLE.
    columns = (compiler.preparer.quote(column.name) for column in element.columns_autoinc_first)
    return f"PRIMARY KEY ({', '.join(columns)})"


class _Mapped(SQLModel):
    @declared_attr.directive
    def __mapper_args__(cls) -> dict[str, Any]:  # noqa: N805 - SQLAlchemy passes the class
        model: Any = cls
        arguments: dict[str, Any] = {"eager_defaults": True}
        table: Any = model.__table__
        if issubclass(model, Version):
            arguments["version_id_col"] = table.c.version
        return arguments


class UUIDKey(SQLModel):
    """Gives a table the key `id`, a UUID version 7: unique everywhere, ordered by time.

    The key is set when the object is made, so that it is known before anything is sent.
    See RFC 9562, section 5.7.
    """

    id: UUID = Field(default_factory=uuid7, primary_key=True)


class IntKey(SQLModel):
    """Gives a table the key `id`, a number that the database counts up."""

    id: int | None = Field(default=None, primary_key=True)


class Timestamps(_Mapped):
    """Gives a table `created_at` and `updated_at`, aware and in UTC, by the database's clock.

    `updated_at` moves with every UPDATE that goes through SQLAlchemy, bulk updates included.
    """

    created_at: datetime = Field(
        default=None, nullable=False, sa_column_kwargs={"server_default": utcnow()}
    )
    updated_at: datetime = Field(
        default=None,
        nullable=False,
        sa_column_kwargs={"server_default": utcnow(), "onupdate": utcnow()},
    )


class SoftDelete(SQLModel):
    """Gives a table `deleted_at`; rows that have it set are out of scope for every session."""

    deleted_at: datetime | None = Field(default=None, index=True)


class Scoped(SQLModel):
    """Gives a table rules that say whose its rows are; a unit of work sees those in its scope.

    ```python
    class OfTenant(Scoped):
        __scopes__ = {"tenant": "tenant_id"}

        tenant_id: UUID = Field(index=True)
    ```

    Attributes:
        __scopes__: The rules: the name of each, and the attribute that has its value.
    """

    __scopes__: ClassVar[Mapping[str, str]] = {}


def is_mapped(model: type[SQLModel]) -> bool:
    """Tell whether a model is a table."""
    return inspect(model, raiseerr=False) is not None


@event.listens_for(SQLModel, "instrument_class", propagate=True)
def _check_scopes(mapper: Any, model: type[SQLModel]) -> None:
    if hasattr(model, "__scopes__") and not issubclass(model, Scoped):
        raise ConfigError(
            f"{model.__name__} has __scopes__ and would not be kept to them.",
            hint="Derive it from Scoped.",
        )


_LIVE = "deleted_at IS NULL"


def unique_live(*columns: str, name: str | None = None) -> Index:
    """Return an index by which no two rows that are not soft-deleted are equal in these columns.

    ```python
    class User(UUIDKey, SoftDelete, table=True):
        __table_args__ = (unique_live("email"),)
    ```

    On PostgreSQL and SQLite it is a partial index. MySQL and MariaDB have none: there the table
    gets a generated column, which is NULL for deleted rows, as a further part of the index.

    Args:
        columns: The columns' names, with that of the tenant where there are several.
        name: The index's name; left out, the naming convention gives one.
    """
    return Index(
        name, *columns, unique=True, postgresql_where=text(_LIVE), sqlite_where=text(_LIVE)
    )


def _is_live(index: Any) -> bool:
    return index.unique and str(index.dialect_options["postgresql"]["where"]) == _LIVE


def _generated(index: Any, compiler: DDLCompiler) -> tuple[str, str, str]:
    """Return the quoted names of an index, its table, and its generated column."""
    prepare = compiler.preparer
    name = str(index.name)
    column = prepare.quote(f"live_{name}"[: compiler.dialect.max_identifier_length])
    return prepare.quote(name), prepare.format_table(index.table), column


@compiles(CreateIndex, "mysql", "mariadb")
def _create_index_mysql(element: Any, compiler: Any, **options: Any) -> Any:
    index = element.element
    if not _is_live(index):
        return compiler.visit_create_index(element, **options)
    name, table, generated = _generated(index, compiler)
    columns = ", ".join(compiler.preparer.quote(column.name) for column in index.columns)
    return (
        f"ALTER TABLE {table} "
        f"ADD COLUMN {generated} TINYINT AS (IF({_LIVE}, 1, NULL)) VIRTUAL, "
        f"ADD UNIQUE INDEX {name} ({columns}, {generated})"
    )


@compiles(DropIndex, "mysql", "mariadb")
def _drop_index_mysql(element: Any, compiler: Any, **options: Any) -> Any:
    index = element.element
    if not _is_live(index):
        return compiler.visit_drop_index(element, **options)
    name, table, generated = _generated(index, compiler)
    return f"ALTER TABLE {table} DROP INDEX {name}, DROP COLUMN {generated}"


class Version(_Mapped):
    """Gives a table `version`, counted up by every ORM write; a stale write is `StaleVersion`."""

    version: int = Field(default=1, nullable=False)


class StoredAnswer(SQLModel):
    """Gives a table what is kept of an answer, so that a repeated request gets the same again.

    ```python
    class IdempotencyKey(StoredAnswer, table=True):
        pass
    ```
    """

    key: str = Field(primary_key=True, max_length=64)
    fingerprint: str = Field(max_length=64)
    claim: str = Field(max_length=32)
    status: int | None = None
    headers: list[list[str]] | None = Field(default=None, sa_type=JSON)
    # The largest that MySQL has: what it calls a BLOB ends at 64 KiB.
    body: bytes | None = Field(default=None, sa_type=LargeBinary(2**32 - 1))
    expires_at: datetime = Field(index=True)
