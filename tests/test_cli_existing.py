"""The command line reads and draws databases, copies them, and opens a shell on them."""

import asyncio
import io
import json
import sys
from pathlib import Path

import pytest

from sqlmodelkit import Database
from sqlmodelkit.cli import main
from tests.chinook.database import create_chinook

PROJECT = """
[tool.sqlmodelkit]
models = ["tests.test_doctor"]
base = "tests.test_doctor:ClinicTables"
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with three tables, whose database is Chinook in SQLite."""
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", "sqlite:///./chinook.db")
    asyncio.run(_fill(f"sqlite:///{tmp_path / 'chinook.db'}"))
    return tmp_path


async def _fill(url: str) -> None:
    db = Database(url)
    await create_chinook(db)
    await db.close()


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run a command; answer its status, what it says and what it complains about."""
    status = main(arguments)
    said = capsys.readouterr()
    return status, said.out, said.err


def test_models_are_printed_or_written(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is there is not written over."""
    status, said, _ = run(capsys, "db", "inspect", "--only", "Artist")
    assert (0, True) == (status, "class Artist(SQLModel, table=True):" in said)
    status, told, _ = run(capsys, "db", "inspect", "-o", "models.py", "--schemas")
    assert (0, "models.py: 55 classes\n") == (status, told)
    compile((project / "models.py").read_text(), "models.py", "exec")
    status, _, complaint = run(capsys, "db", "inspect", "-o", "models.py")
    assert (1, "models.py is there already. Name another file.\n") == (status, complaint)
    _, said, _ = run(capsys, "db", "inspect", "--only", "Genre", "--json")
    assert (1, None) == ((found := json.loads(said))["classes"], found["path"])


def test_tables_are_drawn(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Those of the models, or of a database."""
    status, said, _ = run(capsys, "db", "diagram", "--only", "ward")
    assert (0, True) == (status, said.startswith("erDiagram\n    ward {\n"))
    status, told, _ = run(capsys, "db", "diagram", "c.svg", "--url", "sqlite:///./chinook.db")
    assert (0, "c.svg: 11 tables\n") == (status, told)
    assert (project / "c.svg").read_text().startswith("<svg ")
    status, told, _ = run(capsys, "db", "diagram", "c.png")
    assert (0, "c.png: 3 tables\n") == (status, told)
    assert (project / "c.png").read_bytes().startswith(b"\x89PNG")
    status, _, complaint = run(capsys, "db", "diagram", "c.gif")
    assert (1, True) == (status, "Names end in .svg, .png" in complaint)
    status, _, complaint = run(capsys, "db", "diagram", "nowhere/c.svg")
    assert (1, "There is no directory nowhere. Make it first.\n") == (status, complaint)
    _, said, _ = run(capsys, "db", "diagram", "--json")
    assert ["patient", "physician", "ward"] == json.loads(said)["tables"]


def test_a_database_is_copied_and_brought_back(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The status of a verified copy is 0, of one with other rows 1."""
    status, said, _ = run(capsys, "db", "backup", "copy.db")
    assert (0, True) == (status, said.startswith("copy.db: 11 tables, 514 rows, "))
    status, said, _ = run(capsys, "db", "restore", "copy.db", "--verify")
    assert (0, "copy.db can be restored: 11 tables, 514 rows\n") == (status, said)
    status, _, complaint = run(capsys, "db", "restore", "copy.db")
    assert (1, True) == (status, "The database has 11 tables with 514 rows." in complaint)
    status, said, _ = run(capsys, "db", "restore", "copy.db", "--url", "sqlite:///./new.db")
    assert (0, True) == (status, "is restored" in said)
    noted = json.loads((project / "copy.db.json").read_text())
    noted["rows"]["Artist"] = [1, 2]
    (project / "copy.db.json").write_text(json.dumps(noted))
    status, said, _ = run(capsys, "db", "restore", "copy.db", "--verify", "--json")
    found = json.loads(said)
    assert (1, False) == (status, found["whole"])
    assert ["Artist has 29 rows and should have 1 to 2"] == found["differences"]


def test_a_copy_is_named_by_the_time(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """When no name is given."""
    _, said, _ = run(capsys, "db", "backup", "--json")
    assert Path(json.loads(said)["path"]).name.startswith("chinook-2")
    assert 2 == len(list(project.glob("chinook-*")))


def test_a_shell_awaits(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database, a session, models and services are at hand; a failure does not end it."""
    monkeypatch.setenv("DATABASE_URL", "sqlite:///./other.db")
    lines = [
        "1 / 0",
        "await session.exec(select(Ward))",
        "await db.create_all() if Ward.metadata is db.base.metadata else None",
        "async with db.engine.begin() as connection:",
        "    await connection.run_sync(Ward.metadata.create_all)",
        "",
        "ward = await WardService(session).create(WardService.create_model(name='A'))",
        "await session.commit()",
        "(await session.exec(select(func.count()).select_from(Ward))).one()",
        "exit()",
    ]
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join(lines) + "\n"))
    status, said, heard = run(capsys, "db", "shell")
    assert (0, "1\n") == (status, said.replace(">>> ", "").replace("... ", ""))
    assert "ZeroDivisionError" in heard
    assert "At hand: LoopService, Patient, PatientService, Physician, Ward, WardService" in heard
