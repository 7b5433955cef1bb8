"""A new project is whole: its own checks and tests pass, on every engine."""

from pathlib import Path

import pytest

from sqlmodelkit import ConfigError
from sqlmodelkit.scaffold import Choices, create_project
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
