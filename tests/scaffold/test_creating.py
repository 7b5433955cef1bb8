"""A new project is whole: its own checks and tests pass, on every engine."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sqlmodelkit import ConfigError
from sqlmodelkit.scaffold import Choices, create_project
from sqlmodelkit.scaffold.origins import installed_from, origin
from tests.scaffold import projects


@pytest.fixture(scope="module")
def minimal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new project."""
    root = tmp_path_factory.mktemp("new") / "hero-api"
    create_project(root, Choices("hero-api"))
    return root


@pytest.mark.slow
def test_style_and_types_are_right(minimal: Path) -> None:
    """As ruff and strict mypy see them, with the project's own settings."""
    projects.check(minimal)


@pytest.mark.db
@pytest.mark.slow
def test_its_tests_pass(minimal: Path, database_url: str) -> None:
    """On each engine, by nothing but another address; its migrations make what its models say."""
    assert "8 passed" in projects.run_tests(minimal, database_url)
    assert "nothing" == projects.missing_migration(minimal, database_url)


@pytest.mark.slow
def test_its_tests_pass_beside_pytest_asyncio(minimal: Path) -> None:
    """What that plugin warns of is no error, and the tests stay anyio's."""
    said = projects.run_in(minimal, "pytest", "-q", "-p", "no:cacheprovider")
    assert "8 passed" in said


@pytest.mark.slow
def test_make_says_what_to_do_where_no_index_has_the_package(tmp_path: Path) -> None:
    """Instead of ending with pip's words."""
    create_project(tmp_path / "one", Choices("one"))
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("make", "sh", "test", "cp", "touch"):
        (tools / name).symlink_to(shutil.which(name) or name)
    environment = {"PATH": str(tools), "PIP_NO_INDEX": "1", "HOME": str(tmp_path)}
    done = subprocess.run(
        [tools / "make", "setup", f"PYTHON={sys.executable}"],
        cwd=tmp_path / "one",
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert 2 == done.returncode, done.stdout
    assert "make setup SQLMODELKIT=/path/to/its.whl" in done.stderr


@pytest.mark.parametrize("active", [True, False])
def test_new_tells_where_the_package_is_unless_its_environment_is_active(
    active: bool, tmp_path: Path
) -> None:
    """The project itself holds no path of this machine."""
    environment = {name: text for name, text in os.environ.items() if name != "VIRTUAL_ENV"}
    said = subprocess.run(
        [sys.executable, "-m", "sqlmodelkit", "new", "one"],
        cwd=tmp_path,
        env={**environment, **({"VIRTUAL_ENV": sys.prefix} if active else {})},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    source = installed_from()
    setup = [] if active or source is None else [f"  make setup SQLMODELKIT={source}"]
    expected = ["  cd one", *setup, "  make test", "  make dev"]
    assert expected == said.splitlines()[2:]
    assert [] == [path for path in tmp_path.rglob("*") if path.is_file()
                  and (source or "no source") in path.read_text()]  # fmt: skip


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (None, None),
        ('{"url": "file:///srv/a%20b/x-1.whl", "archive_info": {}}', "/srv/a b/x-1.whl"),
        ('{"url": "file:///srv/x", "dir_info": {"editable": true}}', "/srv/x"),
        ('{"url": "https://a.test/x-1.whl", "archive_info": {}}', "https://a.test/x-1.whl"),
        (
            '{"url": "https://a.test/x.git", "vcs_info": {"vcs": "git", "commit_id": "12ab"}}',
            "git+https://a.test/x.git@12ab",
        ),
    ],
)
def test_installers_tell_where_a_package_came_from(record: str | None, expected: str) -> None:
    """In a form that they take again; nothing for what came from an index."""
    assert expected == origin(record)


def test_secrets_are_its_own(tmp_path: Path) -> None:
    """They are in `.env`, which is ignored by git, and in no other file."""
    written = create_project(tmp_path / "one", Choices("one"))
    create_project(tmp_path / "two", Choices("two"))
    lines = (tmp_path / "one" / ".env").read_text().splitlines()
    found = {line.partition("=")[0]: line.partition("=")[2] for line in lines if line[0] != "#"}
    assert {"DATABASE_URL", "DB_CURSOR_SECRET", "API_TOKEN"} == set(found)
    assert found["API_TOKEN"] not in (tmp_path / "two" / ".env").read_text()
    others = [path.read_text() for path in written if path.name != ".env"]
    assert [] == [text for text in others if found["API_TOKEN"] in text]
    assert ".env" in (tmp_path / "one" / ".gitignore").read_text().splitlines()


@pytest.mark.parametrize(
    ("database", "url"),
    [("sqlite", "sqlite:///"), ("postgresql", "postgresql://"), ("mariadb", "mysql://")],
)
def test_the_database_can_be_chosen(database: str, url: str) -> None:
    """It is what DATABASE_URL names at first."""
    files = Choices("hero-api", database).files()  # type: ignore[arg-type] # from a table
    assert f"DATABASE_URL={url}" in files[".env.example"]


def test_nothing_is_written_over(tmp_path: Path) -> None:
    """A directory with something in it is left alone."""
    (tmp_path / "mine.txt").touch()
    with pytest.raises(ConfigError, match="is there already"):
        create_project(tmp_path, Choices("hero-api"))
    assert [tmp_path / "mine.txt"] == list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["Hero", "1st", "a b", "a/b", "", "a--b", "é"])
def test_a_name_is_one_of_a_package(name: str) -> None:
    """Other names are refused before anything is written."""
    with pytest.raises(ConfigError, match="A project cannot be called"):
        Choices(name).files()


@pytest.mark.parametrize("database", ["sqlite", "postgresql", "mariadb"])
def test_compose_brings_the_database_that_was_chosen(database: str) -> None:
    """PostgreSQL where that is SQLite, which several containers cannot share."""
    files = Choices("hero-api", database).files()  # type: ignore[arg-type] # from a table
    service = "mariadb" if database == "mariadb" else "postgres"
    composed = files["compose.yaml"]
    services = re.findall(r"^  (\w+):$", composed.partition("volumes:\n  ")[0], re.MULTILINE)
    assert ["app", service, "redis"] == services
    assert composed.endswith(f"\nvolumes:\n  {service}:\n")
    assert f"://app:app@{service}/app\n" in composed
    assert f"      {service}: {{ condition: service_healthy }}\n" in composed
    started = f"docker compose up --detach --wait {service}"
    assert (database != "sqlite") is (started in files["README.md"])


def test_whatever_starts_the_application_migrates_under_the_lock(minimal: Path) -> None:
    """Alembic's own command takes none, so that containers that start together would collide."""
    for name in ("Dockerfile", "Makefile"):
        text = (minimal / name).read_text()
        assert "sqlmodelkit db upgrade" in text
        assert "alembic" not in text
