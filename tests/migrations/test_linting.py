"""Lint finds what hurts a live application, and is silent about the rest."""

from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, Table

from sqlmodelkit import ConfigError, DatabaseSettings
from sqlmodelkit.migrations import Finding, Schema, init, lint, revision

from .conftest import SchemaOf, new_metadata

CORPUS = sorted((Path(__file__).parent / "corpus").rglob("[a-z]*.py"))
URLS = {
    "postgresql": "postgresql://nobody@127.0.0.1/nothing",
    "mysql": "mysql://nobody@127.0.0.1/nothing",
    "sqlite": "sqlite:///nothing.db",
}
FIRST = """
import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table("team", sa.Column("id", sa.Integer(), primary_key=True))
    op.create_table(
        "hero",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("name", sa.String(50), nullable=False),
        sa.Column("age", sa.Integer()),
        sa.Column("team_id", sa.Integer()),
        sa.Column("rank", sa.String(10)),
        sa.Column("note", sa.Text()),
    )
    op.create_index("ix_hero_name", "hero", ["name"])
"""


def placed(path: Path, directory: Path) -> Schema:
    """Return a schema with a migration of the corpus after one that makes its tables."""
    init(directory)
    names = 'revision = "0002"\ndown_revision = "0001"\n'
    text = path.read_text().replace("\n\n\ndef", f"\n\n{names}\n\ndef")
    (directory / "versions" / "first.py").write_text(FIRST)
    (directory / "versions" / "second.py").write_text(text)
    metadata = new_metadata()
    Table("hero", metadata, Column("id", Integer, primary_key=True))
    return Schema(metadata, directory, DatabaseSettings(url=URLS[path.parent.name]))


async def linted(path: Path, directory: Path) -> list[Finding]:
    """Return what is found in a migration of the corpus."""
    return await lint(placed(path, directory), revisions=["0002"])


def expected(path: Path) -> str | None:
    """Return the rule that a migration of the corpus breaks."""
    kind, _, rule = path.read_text().splitlines()[0].strip('"').partition(": ")
    return rule if kind == "Dangerous" else None


def test_the_corpus_is_large_enough() -> None:
    """There are more than forty migrations, good and dangerous, for three engines."""
    assert 41 <= len(CORPUS)
    assert set(URLS) == {path.parent.name for path in CORPUS}


async def test_dangerous_migrations_are_found(tmp_path: Path) -> None:
    """At least 95 of 100 dangerous ones, and at most 5 of 100 good ones."""
    missed, wrong = [], []
    for number, path in enumerate(CORPUS):
        rules = {each.rule for each in await linted(path, tmp_path / str(number))}
        rule = expected(path)
        name = f"{path.parent.name}/{path.stem}"
        if rule is not None and rule not in rules:
            missed.append((name, rule, rules))
        if rule is None and rules:
            wrong.append((name, rules))
    dangerous = sum(1 for path in CORPUS if expected(path))
    assert len(missed) <= 0.05 * dangerous, missed
    assert len(wrong) <= 0.05 * (len(CORPUS) - dangerous), wrong


@pytest.mark.parametrize("engine", URLS)
async def test_a_finding_says_the_safe_way(engine: str, tmp_path: Path) -> None:
    """Every one says why, and what to do."""
    paths = [path for path in CORPUS if path.parent.name == engine and expected(path)]
    for number, path in enumerate(paths):
        for found in await linted(path, tmp_path / str(number)):
            assert found.why
            assert found.safe


async def test_a_copied_table_is_not_told_as_dropped(tmp_path: Path) -> None:
    """SQLite copies a table and drops the old one: that is one finding, not many."""
    path = next(each for each in CORPUS if each.stem == "rebuilt_table")
    assert ["table-rebuild"] == [each.rule for each in await linted(path, tmp_path / "one")]


async def test_a_migration_that_fails_is_told(schema_of: SchemaOf) -> None:
    """SQLite's are run on an empty database, which need not be so for a server's."""
    metadata = new_metadata()
    Table("stone", metadata, Column("id", Integer, primary_key=True))
    schema = schema_of(metadata)
    written = await revision(schema, "first")
    assert written is not None
    text = written.path.read_text()
    wrong = "def upgrade() -> None:\n    op.execute('DELETE FROM nowhere WHERE id = 1')\n"
    written.path.write_text(text.replace("def upgrade() -> None:\n", wrong))
    if schema.settings.engine_url().get_backend_name() == "sqlite":
        with pytest.raises(ConfigError, match="fails on an empty database: no such table: nowhere"):
            await lint(schema)
    else:
        assert [] == await lint(schema)
