"""Models from databases that were there before."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from sqlmodelkit import ConfigError, Database
from sqlmodelkit.inspection import inspect_database, looks_secret
from sqlmodelkit.inspection.names import attribute, class_name, plural, snake
from tests.chinook.database import create_chinook
from tests.docs_runner import ROOT


def run(module: str, url: str, directory: Path) -> list[str]:
    """Run a program of the tests in a directory; its classes stay its own."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", module, url]
    done = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, check=False
    )
    assert 0 == done.returncode, done.stderr
    found: list[str] = json.loads(done.stdout)
    return found


def check_types(directory: Path) -> None:
    """Have mypy look at the models that a program has left, as strictly as it can."""
    command = [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "read_models.py"]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    assert "Success: no issues found in 1 source file\n" == done.stdout


@pytest.mark.slow
@pytest.mark.db
def test_chinook_is_read_and_served(database_url: str, tmp_path: Path) -> None:
    """No drift; every table with every relation is answered as plain SQL says; types fit."""
    assert ["11 models"] == run("tests.chinook", database_url, tmp_path)
    check_types(tmp_path)


@pytest.mark.slow
@pytest.mark.db
def test_awkward_tables_are_read(database_url: str, engine_name: str, tmp_path: Path) -> None:
    """Defaults, checks, enumerations, generated columns, rings, several keys, odd names.

    A constraint of SQLite that has no name gets one from the convention, which is all that differs.
    """
    differences = run("tests.legacy", database_url, tmp_path)
    if engine_name == "sqlite":
        unnamed = [line for line in differences if "('add_constraint', UniqueConstraint(" in line]
        assert 2 == len(unnamed) == len(differences)
    else:
        assert [] == differences
    check_types(tmp_path)


async def read(url: str, *statements: str, schemas: bool = False) -> str:
    """Return the models of tables that statements make."""
    db = Database(url)
    async with db.engine.begin() as connection:
        for statement in statements:
            await connection.execute(text(statement))
    try:
        return await inspect_database(db, schemas=schemas)
    finally:
        await db.close()


TEAMS = "CREATE TABLE teams (id INTEGER NOT NULL PRIMARY KEY, name VARCHAR(40) NOT NULL)"
HEROES = (
    "CREATE TABLE heroes (id INTEGER NOT NULL PRIMARY KEY, nickName VARCHAR(80) NOT NULL,"
    " password VARCHAR(80) NOT NULL, team_id INTEGER, CONSTRAINT fk_heroes_team_id_teams"
    " FOREIGN KEY (team_id) REFERENCES teams (id) ON DELETE SET NULL)"
)


SPECIAL: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "postgresql": (
        (
            "CREATE TABLE events (day date PRIMARY KEY, doc xml, d float8) PARTITION BY RANGE (day)",
            "CREATE TABLE events_26 PARTITION OF events FOR VALUES FROM ('2026-1-1') TO ('2027-1-1')",
            "CREATE INDEX ix_desc ON events (d DESC NULLS LAST, day)",
        ),
        (
            '{"postgresql_partition_by": "RANGE (day)"}',
            'doc: Any = Field(default=None, nullable=True, sa_type=OtherType("xml"))',
            "d: float | None = Field(default=None, sa_type=Double)",
            'Index("ix_desc", text("d DESC NULLS LAST"), "day")',
        ),
    ),
    "mariadb": (
        (
            """CREATE TABLE events (id int(11) PRIMARY KEY, doc json, kinds set('a','bc'), y year,
            ip inet6, small smallint(6), plain bigint(20), wide int(5) zerofill)""",
        ),
        (
            "doc: Any = Field(default=None, nullable=True, sa_type=JSON)",
            'kinds: set[str] | None = Field(default=None, sa_type=SET("a", "bc"))',
            "y: int | None = Field(default=None, sa_type=YEAR(4))",
            'ip: Any = Field(default=None, nullable=True, sa_type=OtherType("inet6"))',
            "small: int | None = Field(default=None, sa_type=SmallInteger)",
            "plain: int | None = Field(default=None, sa_type=BigInteger)",
            "wide: int | None = Field(default=None, sa_type=INTEGER(5, unsigned=True, zerofill=True))",
            'id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})',
        ),
    ),
    "sqlite": (
        (
            """CREATE TABLE events (id int PRIMARY KEY NOT NULL, n int, untyped,
            m int GENERATED ALWAYS AS (max(n, (2))) STORED, k text AS ('(' || n) VIRTUAL, z int)""",
            "CREATE VIRTUAL TABLE found USING fts5(body)",
        ),
        (
            'sa_column_args=[Computed("max(n, (2))", persisted=True)]',
            "sa_column_args=[Computed(\"'(' || n\", persisted=False)]",
            'untyped: Any = Field(default=None, nullable=True, sa_type=OtherType("BLOB"))',
            'id: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})',
        ),
    ),
}


@pytest.mark.db
async def test_what_only_one_engine_has_is_read(database_url: str, engine_name: str) -> None:
    """Types without a class, partitions and virtual tables, which are no models of their own."""
    statements, expected = SPECIAL[engine_name]
    said = await read(database_url, *statements)
    assert [] == [line for line in expected if line not in said]
    assert 1 == said.count("table=True")
    compile(said, "models.py", "exec")


@pytest.mark.db
async def test_checks_without_a_name_are_told(database_url: str, engine_name: str) -> None:
    """MariaDB keeps them at their column, where no model can say them."""
    table = "CREATE TABLE sizes (id int PRIMARY KEY, size int CHECK (size > 0))"
    if engine_name == "mariadb":
        with pytest.warns(UserWarning, match="sizes.size is checked without a name, `size` > 0"):
            await read(database_url, table)
    else:
        assert "size > 0" in await read(database_url, table)


async def test_a_foreign_key_into_nothing_is_refused(tmp_path: Path) -> None:
    """SQLite lets one declare it."""
    url = f"sqlite:///{tmp_path / 'torn.db'}"
    with pytest.raises(ConfigError, match="refers to the table nowhere, which is not there"):
        await read(url, "CREATE TABLE here (id INTEGER PRIMARY KEY, n int REFERENCES nowhere (id))")


async def test_models_are_written_as_the_guide_writes_them() -> None:
    """Relations on both sides, names of Python, the names of the convention left out."""
    source = await read(
        "sqlite://", TEAMS, HEROES, "CREATE INDEX ix_heroes_team_id ON heroes (team_id)"
    )
    assert source == (
        "from sqlmodel import Field, Relationship, SQLModel\n"
        "\n\n"
        "class Team(SQLModel, table=True):\n"
        '    __tablename__ = "teams"  # pyright: ignore[reportAssignmentType]\n'
        "\n"
        "    id: int | None = Field(default=None, primary_key=True)\n"
        "    name: str = Field(max_length=40)\n"
        "\n"
        '    heroes: list["Hero"] = Relationship(back_populates="team", passive_deletes="all")\n'
        "\n\n"
        "class Hero(SQLModel, table=True):\n"
        '    __tablename__ = "heroes"  # pyright: ignore[reportAssignmentType]\n'
        "\n"
        "    id: int | None = Field(default=None, primary_key=True)\n"
        '    nick_name: str = Field(max_length=80, sa_column_kwargs={"name": "nickName"})\n'
        "    password: str = Field(max_length=80)\n"
        "    team_id: int | None = Field(\n"
        '        default=None, foreign_key="teams.id", ondelete="SET NULL", index=True\n'
        "    )\n"
        "\n"
        '    team: Team | None = Relationship(back_populates="heroes")\n'
    )


async def test_the_five_classes_keep_secrets() -> None:
    """What looks like one can be given and changed, and is not shown."""
    source = await read("sqlite://", TEAMS, HEROES, schemas=True)
    classes = {part.split("(")[0]: part for part in source.split("class ")}
    assert {"HeroBase", "Hero", "HeroCreate", "HeroUpdate", "HeroPublic"} <= set(classes)
    shown = [name for name in classes if name.startswith("Hero") and "password" in classes[name]]
    assert ["Hero", "HeroCreate", "HeroUpdate"] == shown
    assert "    id: int\n" in classes["HeroPublic"]


async def test_only_the_tables_that_are_asked_for() -> None:
    """And those that they refer to."""
    db = Database("sqlite://")
    await create_chinook(db)
    source = await inspect_database(db, only=["Customer"])
    assert ["Employee", "Customer"] == [part.split("(")[0] for part in source.split("\nclass ")[1:]]
    with pytest.raises(ConfigError, match=r"no table Hero\. Tables are Album"):
        await inspect_database(db, only=["Hero"])
    await db.close()


async def test_an_empty_database_is_refused(database: Database) -> None:
    """There would be nothing to write."""
    with pytest.raises(ConfigError, match="The database has no tables"):
        await inspect_database(database)


async def test_the_extra_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without sqlacodegen the message says what to install."""
    monkeypatch.setitem(sys.modules, "sqlacodegen.generators", None)
    with pytest.raises(ConfigError, match=r"sqlmodelkit\[inspect\]"):
        await read("sqlite://", TEAMS)


def test_names_become_those_of_python() -> None:
    """Singular classes, attributes in small letters, and none that Python or Pydantic has."""
    assert ["unit_price", "url_of_hero", "a_b"] == [
        snake(name) for name in ("UnitPrice", "URLOfHero", "a -b")
    ]
    assert ["OrderLine", "Address", "Status", "Table1stPerson", "Exception_"] == [
        class_name(name, ())
        for name in ("order_lines", "addresses", "status", "1st people", "exceptions")
    ]
    assert ["order_lines", "addresses", "people"] == [
        plural(name) for name in ("OrderLine", "address", "Person")
    ]
    assert ["class_", "column_1st", "metadata_", "registry_", "bytes_", "bytes", "id_"] == [
        attribute("class", annotations=(), taken=()),
        attribute("1st", annotations=(), taken=()),
        attribute("metadata", annotations=(), taken=()),
        attribute("registry", annotations=(), taken=()),
        attribute("bytes", annotations=("bytes",), taken=()),
        attribute("bytes", annotations=("int",), taken=()),
        attribute("ID", annotations=(), taken=("id",)),
    ]


def test_secrets_are_known_by_their_names() -> None:
    """Words count, not letters."""
    secrets = ("password", "PasswordHash", "api_key", "reset_token")
    others = ("name", "passwords_seen_in", "tokenized", "pinned")
    assert all(map(looks_secret, secrets))
    assert not any(looks_secret(name) for name in others[:1] + others[2:])
