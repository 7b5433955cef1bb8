"""The command line: how commands are found, what they print, and how they end."""

import json
import os
import pty
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from sqlmodelkit.cli import main

COMMAND = [sys.executable, "-m", "sqlmodelkit"]


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run a command; answer its status, what it says and what it complains about."""
    status = main(arguments)
    said = capsys.readouterr()
    return status, said.out, said.err


def on_terminal(*arguments: str, **environment: str) -> str:
    """Run a command whose output goes to a terminal, and answer what the terminal gets."""
    ours, theirs = pty.openpty()
    try:
        process = subprocess.Popen(
            [*COMMAND, *arguments],
            stdout=theirs,
            stderr=theirs,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "100", **environment},
        )
        os.close(theirs)
        said = b""
        while True:
            try:
                part = os.read(ours, 65536)
            except OSError:  # how Linux says that the other side is closed
                break
            if not part:
                break
            said += part
        process.wait(timeout=30)
    finally:
        os.close(ours)
    return said.decode()


@pytest.mark.parametrize("arguments", [["--help"], ["db", "--help"], ["explain", "--help"]])
def test_help_tells_what_there_is(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """In plain lines where nobody looks at it on a terminal."""
    status, said, complained = run(capsys, *arguments)
    assert (0, "") == (status, complained)
    assert said.startswith("Usage: sqlmodelkit")
    assert said.isascii()


def test_help_has_examples(capsys: pytest.CaptureFixture[str]) -> None:
    """Line by line, as one would type them."""
    _, said, _ = run(capsys, "explain", "--help")
    assert "  Examples:\n    sqlmodelkit explain app.heroes:HeroService\n" in said


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """As everywhere, by --version."""
    assert (0, "sqlmodelkit 0.1.0\n", "") == run(capsys, "--version")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["explan"], "No such command 'explan'. Did you mean 'explain'?"),
        (["db", "ping", "--urll", "x"], "No such option: --urll"),
        (["explain"], "Missing argument"),
    ],
)
def test_a_mistake_in_the_call_ends_with_2(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """So that a script can tell it from a failure."""
    status, said, complained = run(capsys, *arguments)
    assert (2, "", True) == (status, said, complaint in complained)


def test_a_terminal_gets_colours() -> None:
    """Frames and colours in help, the error in red."""
    assert "\x1b[" in on_terminal("--help")
    assert "\x1b[1;31m" in on_terminal("explain", "nowhere")


def test_no_colour_is_kept() -> None:
    """A person who set NO_COLOR gets none."""
    assert "\x1b[3" not in on_terminal("--help", NO_COLOR="1")
    assert "\x1b[1;31m" not in on_terminal("explain", "nowhere", NO_COLOR="1")


@pytest.mark.db
def test_ping_says_who_answers(database_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The server and its version, at an address without its password."""
    status, said, _ = run(capsys, "db", "ping", "--url", database_url)
    assert (0, True) == (status, " answers at " in said)
    status, said, _ = run(capsys, "db", "ping", "--url", database_url, "--json")
    told = json.loads(said)
    assert {"dialect", "version", "url", "milliseconds"} == set(told)


def test_ping_says_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    """On stderr, with what to do, and the status is 1."""
    status, said, complained = run(capsys, "db", "ping", "--url", "oracle://x")
    assert (1, "", True) == (status, said, "asks for the driver 'oracle'" in complained)
    status, said, complained = run(capsys, "db", "ping", "--url", "postgresql://127.0.0.1:1/x")
    assert (1, "", True) == (status, said, complained != "")


def test_ping_takes_the_database_of_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its `.env` counts, and a relative path is one below its root, also further down."""
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / ".env").write_text("DATABASE_URL=sqlite:///./hero.db\n")
    (tmp_path / "deeper").mkdir()
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.chdir(tmp_path / "deeper")
    status, said, _ = run(capsys, "db", "ping")
    assert (0, True) == (status, said.endswith(f"sqlite+aiosqlite:///{tmp_path}/hero.db\n"))


@pytest.mark.parametrize(
    "call",
    [
        *("db init", "db revision x", "db upgrade", "db downgrade -1", "db current", "db history"),
        *("db heads", "db merge", "db stamp", "db check", "db lint", "db sql", "db seed"),
        *("db reset", "db diagram", "db shell", "doctor", "explain GET /x"),
        "add resource Power name:str",
    ],
)
def test_outside_of_a_project_a_command_says_so(
    call: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What is missing, where it was looked for, and what to write."""
    monkeypatch.chdir(tmp_path)
    status, said, complained = run(capsys, *call.split())
    assert (1, "") == (status, said)
    assert complained.startswith(f"There is no pyproject.toml in {tmp_path} or above it.")
    assert '[tool.sqlmodelkit] with entrypoint = "app.main:app"' in complained


@pytest.mark.parametrize(
    ("call", "status", "error", "kind"),
    [
        ("db ping --json --urll x", 2, "No such option: --urll", "UsageError"),
        ("pool-size --json", 2, "Missing option '--rps'", "UsageError"),
        ("explain nowhere --json", 1, "'nowhere' names no class.", "ConfigError"),
        ("db ping --json --url postgresql://127.0.0.1:1/x", 1, "The database ", "ConnectionLost"),
    ],
)
def test_a_program_is_told_of_failures_in_json(
    call: str, status: int, error: str, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """On stdout, whatever failed; a person finds the same on stderr."""
    found, said, complained = run(capsys, *call.split())
    told = json.loads(said)
    assert (status, kind, True) == (found, told["type"], told["error"].startswith(error))
    assert {"error", "hint", "type"} == set(told)
    assert told["error"] in complained


def test_what_an_application_prints_does_not_spoil_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It goes to stderr meanwhile, and is where it was without --json."""
    (tmp_path / "pyproject.toml").write_text(
        '[tool.sqlmodelkit]\nmodels = ["loud_models"]\nbase = "loud_models:Own"\n'
    )
    (tmp_path / "loud_models.py").write_text(
        "from sqlalchemy import MetaData\n"
        "from sqlmodel import Field, SQLModel\n"
        "class Own(SQLModel):\n"
        "    metadata = MetaData()\n"
        "class Horn(Own, table=True):\n"
        "    id: int = Field(primary_key=True)\n"
        "print('loud')\n"
    )
    monkeypatch.chdir(tmp_path)
    status, said, complained = run(capsys, "db", "diagram", "--json")
    assert (0, "loud\n") == (status, complained)
    assert "mermaid" in json.loads(said)
    assert "loud" not in run(capsys, "db", "diagram")[2]


@pytest.mark.filterwarnings("always")
def test_what_libraries_warn_of_is_a_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Once each, and without the source of the library."""
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE hero (id INTEGER PRIMARY KEY, name TEXT)")
        database.execute("CREATE INDEX small ON hero (lower(name))")
    status, out, err = run(capsys, "db", "inspect", "--url", f"sqlite:///{path}")
    assert 0 == status, err
    assert "class Hero(" in out
    assert "Warning: Skipped unsupported reflection of expression-based index small\n" == err
