"""How Alembic is run: on our async engine, with our options, whoever calls it.

Start at `on_connection`; `entry` is what `env.py` calls.
"""

import warnings
from argparse import Namespace
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from io import StringIO
from typing import Any, TypeVar

from alembic import context
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Dialect, literal
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.pool import NullPool
from sqlalchemy.types import NullType

from sqlmodelkit.connections import create_engine
from sqlmodelkit.engines import IMMEDIATE, EngineOptions, engine_options
from sqlmodelkit.errors import ConfigError
from sqlmodelkit.sessions import translating
from sqlmodelkit.settings import DatabaseSettings

from . import conversions, copying, operations
from .comparing import PLUGINS, Whole, compare_type, include_object
from .place import FILE_TEMPLATE, Schema
from .rendering import render_item

T = TypeVar("T")
LOCK_TIMEOUT = 5.0
OWN_STEPS = (conversions, copying, operations)
"""Modules with what Alembic knows once they are imported."""
RUN = "sqlmodelkit"


@dataclass(frozen=True, slots=True)
class Run:
    """One run of Alembic: what it is about, on which connection, and who listens.

    Attributes:
        schema: What the migrations are about.
        connection: Where they run; None for a run that only writes SQL.
        options: More options for Alembic's own `configure`.
    """

    schema: Schema
    connection: Connection | None = None
    options: dict[str, Any] = field(default_factory=dict)


def config_of(run: Run) -> Config:
    """Return the configuration that Alembic's commands take; their output is in its `stdout`."""
    config = Config(stdout=StringIO(), output_buffer=StringIO(), cmd_opts=Namespace(quiet=True))
    location = str(run.schema.directory).replace("%", "%%")
    config.set_main_option("script_location", location)
    config.set_main_option("file_template", FILE_TEMPLATE)
    config.attributes[RUN] = run
    return config


def scripts_of(schema: Schema) -> ScriptDirectory:
    """Return the migrations of a directory.

    Raises:
        ConfigError: There is no directory, or one of the files cannot be read.
    """
    schema.check()
    with speaking():
        scripts = ScriptDirectory.from_config(config_of(Run(schema)))
        try:
            scripts.get_heads()
        except CommandError:
            raise
        except Exception as error:
            raise ConfigError(
                f"A migration in {schema.directory} cannot be read: {type(error).__name__}: {error}",
                hint="Correct the file, or take it away.",
            ) from error
    return scripts


@contextmanager
def speaking() -> Iterator[None]:
    """Turn what Alembic says of a mistake into a `ConfigError`.

    What it warns of and what is seen to is not said: tables that refer to each other, and types
    that SQLAlchemy has no class for.

    Raises:
        ConfigError: Alembic has refused something.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Cannot correctly sort tables")
            warnings.filterwarnings("ignore", "Did not recognize type")
            yield
    except CommandError as error:
        said = str(error).replace("\n", " ")
        hint = None
        if said.startswith("Can't locate revision"):
            hint = "Run sqlmodelkit db history for those there are, db current for the database's."
        raise ConfigError(said, hint=hint) from error


def engine_of(settings: DatabaseSettings, *, lock_timeout: float = LOCK_TIMEOUT) -> EngineOptions:
    """Return options of an engine for migrations: statements without a limit, locks with one."""
    settings = settings.model_copy(
        update={
            "statement_timeout": 0.0,
            "idle_in_transaction_timeout": 0.0,
            "lock_timeout": lock_timeout,
        }
    )
    options = engine_options(settings)
    on_connect = options.on_connect
    match options.url.get_backend_name():
        case "sqlite":
            # A table that is rebuilt is dropped first, which would empty the tables that refer to
            # it. What they refer to is checked before the commit.
            on_connect = (*on_connect, "PRAGMA foreign_keys = OFF")
        case "mysql" | "mariadb":
            seconds = max(1, round(lock_timeout)) if lock_timeout else 31536000
            on_connect = (*on_connect, f"SET SESSION lock_wait_timeout = {seconds}")
    kept = {k: v for k, v in options.arguments.items() if k in ("connect_args", "echo")}
    arguments = kept | {"poolclass": NullPool}
    return replace(options, on_connect=on_connect, arguments=arguments)


@asynccontextmanager
async def connected(
    settings: DatabaseSettings, *, lock_timeout: float = LOCK_TIMEOUT, reading: bool = False
) -> AsyncIterator[AsyncConnection]:
    """Open a connection for migrations.

    Args:
        settings: Where the database is.
        lock_timeout: The most seconds to wait for a table.
        reading: Whether nothing is written, so that SQLite's writers need not be waited for.

    Raises:
        ConfigError: The database lives in memory only, or does not let us in.
        Unavailable: It does not answer.
    """
    options = engine_of(settings, lock_timeout=lock_timeout)
    if options.memory is not None:
        raise ConfigError(
            "A database in memory has no migrations: it is gone when the command ends.",
            hint="Set DATABASE_URL to a file or a server.",
        )
    engine = create_engine(options)
    if options.single_writer and not reading:
        engine = engine.execution_options(**{IMMEDIATE: True})
    try:
        with translating():
            async with engine.connect() as connection:
                yield connection
    finally:
        await engine.dispose()


async def on_connection(
    connection: AsyncConnection, work: Callable[[Config], T], schema: Schema, **options: Any
) -> T:
    """Run one of Alembic's commands on a connection, and return what it returns."""

    def run(sync: Connection) -> T:
        with speaking():
            return work(config_of(Run(schema, sync, options)))

    done = await connection.run_sync(run)
    await connection.rollback()
    return done


def context_of(connection: Connection, schema: Schema) -> MigrationContext:
    """Return Alembic's own view of a database, with our options."""
    return MigrationContext.configure(connection, opts=options_of(Run(schema, connection)))


def options_of(run: Run) -> dict[str, Any]:
    """Return the options of Alembic's `configure`, alike for every command."""
    return {
        "target_metadata": run.schema.metadata,
        "compare_type": compare_type,
        "compare_server_default": True,
        "include_object": include_object,
        "include_name": Whole(run.schema.metadata, run.connection),
        "autogenerate_plugins": PLUGINS,
        "render_item": render_item,
        "render_as_batch": True,
        "transaction_per_migration": True,
        **run.options,
    }


def configured(run: Run) -> None:
    """Run what Alembic was asked for."""
    if run.connection is None:
        url = run.schema.settings.engine_url()
        target: dict[str, Any] = {
            "url": url,
            "literal_binds": True,
            "dialect_opts": {"paramstyle": "named"},
        }
        sqlite = url.get_backend_name() == "sqlite"
    else:
        target = {"connection": run.connection}
        sqlite = run.connection.dialect.name == "sqlite"
    # SQLite rolls tables back too, as long as nobody commits in between, as Python's driver
    # would: ours begins and ends transactions only where it is told.
    options: dict[str, Any] = options_of(run) | ({"transactional_ddl": True} if sqlite else {})
    context.configure(**target, **options)
    if run.connection is None:
        _print_any_value(context.get_context().dialect)
    with context.begin_transaction():
        context.run_migrations()


def _print_any_value(dialect: Dialect) -> None:
    """Let values be printed whose column has no type, as in `sa.column("age")`."""
    compiler: Any = dialect.statement_compiler

    def render(self: Any, value: Any, kind: Any, **options: Any) -> str:
        if isinstance(kind, NullType):
            kind = literal(value).type
        rendered: str = compiler.render_literal_value(self, value, kind, **options)
        return rendered

    dialect.statement_compiler = type("Printing", (compiler,), {"render_literal_value": render})
