"""The shop as a new project: whole on every engine, and the same text as the example."""

from pathlib import Path

import pytest

from scripts.examples import SHOP, texts
from sqlmodelkit.scaffold import Choices, create_project
from tests.scaffold import projects


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new project of the size of a shop."""
    root = tmp_path_factory.mktemp("new") / "web-shop"
    create_project(root, Choices("web-shop", size="shop"))
    return root


def test_the_example_is_what_the_template_makes() -> None:
    """There is one source: whoever changes one of the two is told how to mend it."""
    stale = [
        name
        for name, text in texts().items()
        if not (SHOP / name).is_file() or text != (SHOP / name).read_text(encoding="utf-8")
    ]
    assert [] == stale, (
        f"examples/shop differs from src/sqlmodelkit/templates/project/shop/app in {stale}: "
        "change the template, then run: make examples"
    )


def test_the_example_has_little_of_its_own() -> None:
    """What is not from the template is known by name."""
    there = {
        path.relative_to(SHOP).as_posix()
        for path in SHOP.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    own = {"__init__.py", "__main__.py", "main.py", "ruff.toml", "seed.py", "settings.py"}
    assert own == there - set(texts())


@pytest.mark.slow
def test_style_and_types_are_right(shop: Path) -> None:
    """As ruff and strict mypy see them, with the project's own settings."""
    projects.check(shop)


@pytest.mark.db
@pytest.mark.slow
def test_its_tests_pass(shop: Path, database_url: str) -> None:
    """On each engine, by nothing but another address; its migration makes what its models say."""
    assert "13 passed" in projects.run_tests(shop, database_url)
    assert "nothing" == projects.missing_migration(shop, database_url)


@pytest.mark.db
@pytest.mark.slow
def test_it_is_filled_once(shop: Path, database_url: str) -> None:
    """By `make seed` in a database that the migrations have made."""
    for expected in (True, False):
        projects.run_in(shop, "sqlmodelkit", "db", "upgrade", DATABASE_URL=database_url)
        said = projects.run_in(shop, "app.seed", DATABASE_URL=database_url)
        assert expected == ("reviews" in said)


@pytest.mark.slow
def test_a_resource_can_be_added(tmp_path: Path) -> None:
    """With a relation to a table that is there; all checks and tests pass as before."""
    root = tmp_path / "web-shop"
    create_project(root, Choices("web-shop", size="shop"))
    fields = ("name:str:unique", "product:Product")
    projects.run_in(root, "sqlmodelkit", "add", "resource", "Voucher", *fields)
    projects.check(root)
    assert "17 passed" in projects.run_tests(root)
