"""`sqlmodelkit db`: the commands for migrations, in a project of their own."""

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # each command is a process

_MODELS = """
from sqlmodel import Field, SQLModel


class Ship(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    name: str
"""
_SEED = """
from models import Ship


async def seed(session):
    session.add(Ship(name="Ark"))
    return 1
"""


class Project:
    """A directory with models, and the commands that run in it."""

    def __init__(self, root: Path, url: str) -> None:
        self.root = root
        self.url = url
        (root / "pyproject.toml").write_text(
            '[tool.sqlmodelkit]\nmodels = ["models"]\nseed = "seeding:seed"\n'
        )
        (root / "models.py").write_text(_MODELS)
        (root / "seeding.py").write_text(_SEED)

    def run(self, *arguments: str, status: int = 0) -> str:
        """Run a command; answer what it says, or complains about."""
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "sqlmodelkit", "db", *arguments],
            cwd=self.root,
            env={**os.environ, "DATABASE_URL": self.url},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert (status, arguments) == (done.returncode, arguments), done.stderr + done.stdout
        return done.stdout if status == 0 or not done.stderr else done.stderr


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project on SQLite."""
    return Project(tmp_path, "sqlite:///./ships.db")


def test_a_schema_begins_grows_and_is_checked(project: Project) -> None:
    """From init to check, as the guide tells it."""
    assert "migrations/env.py" in project.run("init")
    assert "is there already" in project.run("init", status=1)
    written = json.loads(project.run("revision", "first", "--json"))
    assert [["table", "new: ship"]] == [
        [note["about"], note["text"]] for note in written["notes"] if note["about"] != "downgrade"
    ]
    assert (project.root / written["path"]).is_file()
    assert "not applied" in project.run("current", status=1)
    assert "Not applied" in project.run("check", "--fast", status=1)
    assert "1 applied." in project.run("upgrade")
    assert "Nothing to do" in project.run("upgrade")
    assert "(newest)" in project.run("current")
    assert "agree" in project.run("check")
    assert f"{written['revision']} first applied\n" == project.run("history")
    assert "Nothing to do" in project.run("revision", "second")
    assert "applied" not in project.run("heads")
    assert "Nothing that holds up" in project.run("lint", written["revision"])


def test_what_would_be_lost_is_asked_for_by_name(project: Project) -> None:
    """A column that went away is refused, renamed or dropped; a new one is filled."""
    project.run("init")
    project.run("revision", "first")
    project.run("upgrade")
    project.run("seed")
    (project.root / "models.py").write_text(_MODELS.replace("name: str", "title: str"))
    refused = project.run("revision", "titles", status=1)
    assert "--drop ship.name" in refused
    assert "--rename ship.name:title" in refused
    assert "cannot be read" in project.run("revision", "x", "--rename", "ship.name", status=1)
    told = project.run("revision", "titles", "--rename", "ship.name:title")
    assert "renamed: ship.name to title" in told
    assert "rename: The code that still runs" in told
    project.run("lint", status=1)
    project.run("upgrade")
    more = _MODELS.replace("name: str", "title: str\n    crew: int")
    (project.root / "models.py").write_text(more)
    assert "--fill ship.crew=VALUE" in project.run("revision", "crews", status=1)
    project.run("revision", "crews", "--fill", "ship.crew=5")
    project.run("upgrade")
    project.run("downgrade", "-1")
    assert "1 undone" in project.run("downgrade", "-1")
    assert "2 applied" in project.run("upgrade")


def test_two_heads_are_merged(project: Project) -> None:
    """Two people worked apart; revision and upgrade say what to do."""
    project.run("init")
    first = json.loads(project.run("revision", "first", "--empty", "--json"))["revision"]
    for name in ("left", "right"):
        (project.root / "migrations" / "versions" / f"{name}.py").write_text(
            f'"""{name}"""\n\nrevision = "{name}"\ndown_revision = "{first}"\n\n\n'
            "def upgrade() -> None:\n    pass\n\n\ndef downgrade() -> None:\n    pass\n"
        )
    project.run("heads", status=1)
    assert "db merge" in project.run("revision", "third", status=1)
    project.run("merge")
    project.run("heads")
    assert "4 applied." in project.run("upgrade")
    project.run("stamp", "base")
    assert "before the first" in project.run("current", status=1)


def test_reset_begins_anew(project: Project) -> None:
    """It asks; another machine's database has to be named."""
    project.run("init")
    project.run("revision", "first")
    project.run("upgrade")
    assert "Done: 1" in project.run("seed")
    with sqlite3.connect(project.root / "ships.db") as connection:
        connection.execute("CREATE VIEW names AS SELECT name FROM ship")
    connection.close()
    assert "not 'other.db'" in project.run("reset", "--yes", "other.db", status=1)
    project.run("reset", status=1)
    assert "is new: 1 migrations applied" in project.run("reset", "--yes", "ships.db")
    assert "agree" in project.run("check")
    away = ("reset", "--url", "postgresql://nobody@database.example/shop")
    assert "on another machine" in project.run(*away, status=1)


def test_sql_is_written_without_a_database(project: Project) -> None:
    """For the engine that the address names."""
    project.run("init")
    project.run("revision", "first")
    said = project.run("sql", "--url", "postgresql://nobody@database.example/shop")
    assert "CREATE TABLE ship" in said
    assert "SERIAL" in said


def test_every_server_is_emptied_for_a_reset(database_url: str, tmp_path: Path) -> None:
    """Tables, and enums on PostgreSQL."""
    project = Project(tmp_path, database_url)
    (tmp_path / "models.py").write_text(
        "import enum\n"
        + _MODELS.replace("    name: str", "    name: str\n    kind: Kind = Kind.sail").replace(
            "class Ship", 'class Kind(enum.Enum):\n    sail = "s"\n    steam = "t"\n\n\nclass Ship'
        )
    )
    project.run("init")
    project.run("revision", "first")
    project.run("upgrade")
    name = (
        str(tmp_path / "test.db")
        if "sqlite" in database_url
        else database_url.rsplit("/", maxsplit=1)[-1]
    )
    assert "1 migrations applied" in project.run("reset", "--yes", name.split("?")[0])
