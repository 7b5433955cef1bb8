"""Migrations that run: once, whatever else runs, and with an account when they fail."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Integer, Table, text

from sqlmodelkit import ConfigError, Database, DatabaseSettings, Locked
from sqlmodelkit.doctor import Subject, examine
from sqlmodelkit.migrations import (
    Schema,
    check,
    current,
    downgrade,
    history,
    init,
    stamp,
    upgrade,
)
from sqlmodelkit.migrations.comparing import JOURNAL
from sqlmodelkit.migrations.environment import connected

from .conftest import SchemaOf, new_metadata

_PROCESS = """
import asyncio, sys
from pathlib import Path
from sqlalchemy import Column, Integer, MetaData, Table
from sqlmodelkit import DatabaseSettings
from sqlmodelkit.migrations import Schema, upgrade

metadata = MetaData()
Table("any", metadata, Column("id", Integer, primary_key=True))
schema = Schema(metadata, Path(sys.argv[1]), DatabaseSettings(url=sys.argv[2]))
print(*[step.revision for step in asyncio.run(upgrade(schema))])
"""


@pytest.fixture
def schema(schema_of: SchemaOf) -> Schema:
    """A schema whose migrations are written by hand."""
    metadata = new_metadata()
    Table("any", metadata, Column("id", Integer, primary_key=True))
    return schema_of(metadata)


def write(schema: Schema, number: int, up: str, down: str = "pass") -> str:
    """Write a migration and return its name; it follows the one before."""
    name = f"{number:04d}"
    follows = repr(f"{number - 1:04d}") if number > 1 else None
    body = "\n    ".join(up.strip().splitlines())
    (schema.directory / "versions" / f"{name}.py").write_text(
        f'"""number {number}"""\n\nimport time\nfrom pathlib import Path\n\nimport sqlalchemy as sa\nfrom alembic import op\n\n'
        f'revision = "{name}"\ndown_revision = {follows}\n\n\n'
        f"def upgrade() -> None:\n    {body}\n\n\ndef downgrade() -> None:\n    {down}\n"
    )
    return name


def made(table: str) -> str:
    """Return the step that makes a table."""
    return f'op.create_table("{table}", sa.Column("id", sa.Integer(), primary_key=True))'


async def tables(schema: Schema) -> set[str]:
    """Return the names of the tables that are there."""
    queries = {
        "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table'",
        "postgresql": "SELECT tablename FROM pg_tables WHERE schemaname = 'public'",
    }
    backend = schema.settings.engine_url().get_backend_name()
    db = Database(settings=schema.settings)
    async with db.session() as session:
        connection = await session.connection()
        rows = await connection.execute(text(queries.get(backend, "SHOW TABLES")))
        names = {row[0] for row in rows}
    await db.close()
    return names


async def process(schema: Schema) -> asyncio.subprocess.Process:
    """Start another process that migrates."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _PROCESS,
        str(schema.directory),
        schema.settings.url,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_migrations_are_told_as_they_run(schema: Schema) -> None:
    """Progress comes after each; the state says what is left, going up and coming back."""
    write(schema, 1, made("one"), 'op.drop_table("one")')
    write(schema, 2, made("two"), 'op.drop_table("two")')
    assert [False] == [(await current(schema)).at_head]
    told: list[str] = []
    steps = await upgrade(schema, "+1", progress=lambda step: told.append(step.message))
    assert (["0001"], ["number 1"]) == ([step.revision for step in steps], told)
    state = await current(schema)
    assert (("0001",), ("0002",), ["0002"]) == (
        state.current,
        state.heads,
        [each.revision for each in state.pending],
    )
    await upgrade(schema)
    assert await upgrade(schema) == []
    undone = await downgrade(schema, "base")
    assert [("0002", False), ("0001", False)] == [(step.revision, step.up) for step in undone]
    assert [False, False] == [each.applied for each in await history(schema)]


async def test_a_database_that_newer_code_has_migrated_is_told_of(schema: Schema) -> None:
    """Nothing is run; each command says so, and a stamp forgets the revision that is lost."""
    write(schema, 1, made("one"), 'op.drop_table("one")')
    write(schema, 2, made("two"), 'op.drop_table("two")')
    await upgrade(schema)
    lost = schema.directory / "versions" / "0002.py"
    lost.unlink()
    state = await current(schema)
    assert (("0002",), ("0002",), (), False) == (
        state.current,
        state.unknown,
        state.pending,
        state.at_head,
    )
    assert [None] == [each.applied for each in await history(schema)]
    drift = await check(schema, migrations=False)
    assert (("0002",), (), True) == (drift.unknown, drift.pending, bool(drift))
    with pytest.raises(ConfigError, match="Can't locate revision identified by '0002'"):
        await upgrade(schema)
    subject = Subject(settings=schema.settings, metadata=schema.metadata, schema=schema)
    (finding,) = await examine(subject, only=["migrations"])
    assert ("failed", "At 0002, which is not among the migrations.") == (
        finding.status,
        finding.problems[0][0],
    )
    await stamp(schema)
    assert ((), True) == ((now := await current(schema)).unknown, now.at_head)


@pytest.mark.slow
async def test_eight_processes_run_them_once(schema: Schema) -> None:
    """One runs, seven wait and see that nothing is left, and none fails."""
    write(schema, 1, f"{made('one')}\ntime.sleep(0.3)\n{made('uno')}")
    write(schema, 2, made("two"))
    processes = [await process(schema) for _ in range(8)]
    ends = [await each.communicate() for each in processes]
    assert [b""] * 8 == [errors for _, errors in ends]
    assert [b"\n"] * 7 + [b"0001 0002\n"] == sorted(output for output, _ in ends)
    assert {"one", "two"} < await tables(schema)


@pytest.mark.slow
async def test_a_killed_process_leaves_what_the_next_finishes(
    schema: Schema, tmp_path: Path
) -> None:
    """On engines that commit each statement, the next one goes on where it was killed."""
    mark = tmp_path / "mark"
    write(schema, 1, made("one"))
    pause = f"time.sleep(0 if Path({str(mark)!r}).exists() else Path({str(mark)!r}).touch() or 60)"
    write(schema, 2, f"{made('two')}\n{made('duo')}\n{pause}\n{made('trio')}")
    killed = await process(schema)
    for _ in range(1200):
        if mark.exists():
            break
        await asyncio.sleep(0.05)
    os.kill(killed.pid, signal.SIGKILL)
    await killed.communicate()
    assert (await current(schema)).current == ("0001",)
    assert ["0002"] == [step.revision for step in await upgrade(schema)]
    assert {"one", "two", "duo", "trio"} <= await tables(schema)
    assert "sqlmodelkit_migration_steps" not in await tables(schema)


async def test_a_failed_migration_says_what_is_applied(schema: Schema) -> None:
    """All or nothing where tables are made in transactions; elsewhere the statements, and it goes on."""
    write(schema, 1, made("one"))
    write(schema, 2, f'{made("two")}\nop.execute("INSERT INTO nowhere VALUES (1)")')
    with pytest.raises(ConfigError, match="0001 were applied and stay") as failed:
        await upgrade(schema)
    whole = "two" not in await tables(schema)
    assert ("CREATE TABLE two" not in str(failed.value)) == whole
    assert ("Of the failed one nothing is left" in str(failed.value)) == whole
    write(schema, 2, f"{made('two')}\n{made('three')}")
    assert ["0002"] == [step.revision for step in await upgrade(schema)]
    assert {"two", "three"} <= await tables(schema)


async def test_what_has_failed_once_fails_again(schema: Schema) -> None:
    """A statement that failed was not done, even if it failed because something is there."""
    write(schema, 1, made("one"))
    more = 'op.add_column("one", sa.Column({!r}, sa.Integer()))'.format
    write(schema, 2, f"{made('two')}\n{more('id')}\n{made('three')}")
    await upgrade(schema, "+1")
    for _ in range(2):
        with pytest.raises(ConfigError, match="A migration failed at ALTER TABLE one ADD"):
            await upgrade(schema)
    write(schema, 2, f"{made('two')}\n{more('age')}\n{made('three')}")
    assert ["0002"] == [step.revision for step in await upgrade(schema)]
    assert {"two", "three"} <= await tables(schema)


@pytest.mark.parametrize("engine_name", ["mariadb"], indirect=True)
async def test_a_statement_of_which_nobody_knows_is_tried_again(schema: Schema) -> None:
    """A process was killed between a statement and the note that it was done."""
    rename = "ALTER TABLE one RENAME COLUMN id TO number"
    write(schema, 1, made("one"))
    write(schema, 2, f'op.execute("{rename}")\n{made("two")}')
    await upgrade(schema, "+1")
    async with connected(schema.settings) as connection:
        await connection.execute(
            text(
                f"CREATE TABLE {JOURNAL} (number INTEGER PRIMARY KEY, statement LONGTEXT, done BOOL)"
            )
        )
        await connection.execute(text(f"INSERT INTO {JOURNAL} VALUES (1, '{rename}', FALSE)"))
        await connection.execute(text(rename))
        await connection.commit()
    assert ["0002"] == [step.revision for step in await upgrade(schema)]
    assert JOURNAL not in await tables(schema)


async def test_a_table_in_use_is_waited_for(schema: Schema) -> None:
    """Not for long, so that others pass meanwhile; then it is tried again, and given up."""
    write(schema, 1, made("one"))
    write(schema, 2, 'op.add_column("one", sa.Column("age", sa.Integer()))')
    await upgrade(schema, "+1")
    async with connected(schema.settings) as other:
        await other.execute(text("SELECT * FROM one"))
        with pytest.raises(Locked, match="in use by somebody else, 2 times"):
            await upgrade(schema, lock_timeout=1, attempts=2)
        patient = asyncio.create_task(upgrade(schema, lock_timeout=1, attempts=20))
        await asyncio.sleep(1.5)
        assert not patient.done()
        await other.rollback()
    assert ["0002"] == [step.revision for step in await patient]


_INDEX = """with op.get_context().autocommit_block():
    op.create_index("ix_two", "two", ["id"], unique=True, postgresql_concurrently=True)"""


@pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)
async def test_what_was_committed_in_between_is_told(schema: Schema) -> None:
    """An index CONCURRENTLY ends the transaction; half an index is made anew."""
    write(schema, 1, 'op.create_table("two", sa.Column("id", sa.Integer()))')
    write(schema, 2, f"{made('three')}\n{_INDEX}")
    await upgrade(schema, "+1")
    async with connected(schema.settings) as connection:
        await connection.execute(text("INSERT INTO two VALUES (1), (1)"))
        await connection.commit()
    with pytest.raises(ConfigError, match="are applied and stay: CREATE TABLE three"):
        await upgrade(schema)
    with pytest.raises(ConfigError, match="take out of the migration what it has left"):
        await upgrade(schema)
    write(schema, 2, f'op.execute("DELETE FROM two")\n{_INDEX}')
    assert ["0002"] == [step.revision for step in await upgrade(schema)]
    async with connected(schema.settings) as connection:
        asked = "SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix_two'::regclass"
        assert await connection.scalar(text(asked))


async def test_rows_that_refer_to_nothing_are_refused(schema: Schema) -> None:
    """SQLite checks what migrations did before it is committed; servers check by themselves."""
    write(
        schema,
        1,
        f"{made('one')}\n"
        'op.create_table("two", sa.Column("id", sa.Integer(), primary_key=True), '
        'sa.Column("one_id", sa.Integer(), sa.ForeignKey("one.id")))\n',
    )
    write(schema, 2, 'op.execute("INSERT INTO two VALUES (1, 7)")')
    with pytest.raises(ConfigError):
        await upgrade(schema)
    assert ("0001",) == (await current(schema)).current


@pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
async def test_rows_that_refer_to_nothing_already_are_no_hindrance(schema: Schema) -> None:
    """An old database may have some; only a migration that makes more is refused."""
    two = 'sa.Column("id", sa.Integer(), primary_key=True), sa.Column("one_id", sa.Integer(), sa.ForeignKey("one.id"))'
    write(schema, 1, f'{made("one")}\nop.create_table("two", {two})')
    await upgrade(schema)
    async with connected(schema.settings) as connection:
        await connection.execute(text("INSERT INTO two VALUES (1, 7)"))
        await connection.commit()
    write(schema, 2, 'op.add_column("one", sa.Column("age", sa.Integer()))')
    assert ["0002"] == [step.revision for step in await upgrade(schema)]
    write(schema, 3, 'op.execute("INSERT INTO two VALUES (2, 8)")')
    with pytest.raises(ConfigError, match="1 rows of two would refer to rows of one"):
        await upgrade(schema)


async def test_plain_alembic_finds_the_project(tmp_path: Path, monkeypatch: Any) -> None:
    """Alembic's own command runs the same environment."""
    from alembic import command  # noqa: PLC0415 - only here
    from alembic.config import Config  # noqa: PLC0415

    (tmp_path / "pyproject.toml").write_text('[tool.sqlmodelkit]\nmodels = ["migrated_models"]\n')
    (tmp_path / "migrated_models.py").write_text(
        "from sqlmodel import Field, SQLModel\n\n\nclass MigratedThing(SQLModel, table=True):\n"
        "    id: int | None = Field(default=None, primary_key=True)\n    name: str\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", "sqlite:///things.db")
    written = init(tmp_path / "migrations", pyproject=tmp_path / "pyproject.toml")
    assert ["env.py", "script.py.mako", ".gitkeep", "pyproject.toml"] == [p.name for p in written]
    config = Config(toml_file=tmp_path / "pyproject.toml")
    await asyncio.to_thread(command.revision, config, "first", autogenerate=True)
    await asyncio.to_thread(command.upgrade, config, "head")
    settings = DatabaseSettings(url="sqlite:///things.db")
    schema = Schema(new_metadata(), tmp_path / "migrations", settings)
    assert {"alembic_version", "migratedthing"} <= await tables(schema)


async def test_plain_alembic_drops_nothing_either(tmp_path: Path) -> None:
    """Nobody can be asked there, so a table that vanished is an error."""
    (tmp_path / "pyproject.toml").write_text('[tool.sqlmodelkit]\nmodels = ["models"]\n')
    model = "class {0}(SQLModel, table=True):\n    id: int = Field(primary_key=True)\n\n\n".format
    head = "from sqlmodel import Field, SQLModel\n\n\n"
    init(tmp_path / "migrations", pyproject=tmp_path / "pyproject.toml")

    async def alembic(*arguments: str) -> tuple[int | None, str]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "alembic", *arguments),
            cwd=tmp_path,
            env={**os.environ, "DATABASE_URL": "sqlite:///things.db"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        return process.returncode, said.decode()

    (tmp_path / "models.py").write_text(head + model("One") + model("Two"))
    assert 0 == (await alembic("revision", "--autogenerate", "-m", "first"))[0]
    assert 0 == (await alembic("upgrade", "head"))[0]
    (tmp_path / "models.py").write_text(head + model("One"))
    status, said = await alembic("revision", "--autogenerate", "-m", "forgotten")
    assert (1, True) == (status, "two is in the database and in no model" in said)
    assert 1 == len(list((tmp_path / "migrations" / "versions").glob("*.py")))


async def test_a_file_that_cannot_be_read_is_named(schema: Schema) -> None:
    """With what is wrong in it."""
    write(schema, 1, "this is no Python")
    with pytest.raises(ConfigError, match="cannot be read: SyntaxError"):
        await current(schema)
