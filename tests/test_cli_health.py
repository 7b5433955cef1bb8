"""The command line examines a project and reckons its pool."""

import json
from pathlib import Path

import pytest

from sqlmodelkit.cli import main
from tests.test_cli_existing import PROJECT, run


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with faults, on an empty SQLite."""
    (tmp_path / "pyproject.toml").write_text(PROJECT)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", "sqlite:///./app.db")
    return tmp_path


def test_the_status_says_whether_something_failed(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Errors by default; warnings, or nothing, when asked."""
    status, said, _ = run(capsys, "doctor")
    assert (1, True) == (status, "FAIL  secrets: 3 responses\n" in said)
    assert "passed," in said.splitlines()[-1]
    assert 0 == main(["doctor", "--only", "sqlite"])
    assert 1 == main(["doctor", "--only", "sqlite", "--fail-on", "warning"])
    assert 0 == main(["doctor", "--fail-on", "never"])
    assert 2 == main(["doctor", "--fail-on", "nothing"])


def test_what_cannot_be_seen_is_not_passed(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that does not answer makes the status 1; that there are no migrations does not."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/x")
    status, said, _ = run(capsys, "doctor", "--only", "pool", "--only", "migrations")
    assert (1, True) == (status, said.startswith("?     pool: The database cannot be reached."))
    assert "-     migrations: there are no migrations" in said
    assert "0 passed, 0 failed, 1 unknown, 1 skipped" == said.splitlines()[-1]
    assert 0 == main(["doctor", "--only", "pool", "--fail-on", "never"])
    assert 0 == main(["doctor", "--only", "migrations", "--fail-on", "warning"])


def test_findings_are_told_to_programs(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With problems and fixes."""
    _, said, _ = run(capsys, "doctor", "--only", "pool", "--workers", "3", "--json")
    (found,) = json.loads(said)
    assert ("pool", "passed") == (found["check"], found["status"])
    assert found["said"].startswith("3 worker(s) x (5 + 10) = 45 connections")


def test_a_pool_is_reckoned(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As settings, with every step; the status is 1 where the server does not allow it."""
    load = ["pool-size", "--rps", "300", "--latency", "20", "--workers", "4"]
    status, said, _ = run(capsys, *load, "--server", "100")
    assert (0, True) == (status, said.startswith("DB_POOL_SIZE=7\nDB_MAX_OVERFLOW=4\n\nBusy on"))
    status, said, _ = run(capsys, *load)
    assert (0, True) == (status, "SQLite has no limit: 100 is the usual one" in said)
    status, said, _ = run(capsys, *load, "--server", "10", "--json")
    assert (1, False) == (status, json.loads(said)["fits"])
