"""Mixins as DDL for three databases, and the keys that are made in Python."""

import subprocess
import sys
from datetime import datetime
from itertools import pairwise

import pytest
from sqlalchemy import Dialect, Table, update
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlmodel import SQLModel

from sqlmodelkit.columns import mapper_of
from sqlmodelkit.models import NAMING_CONVENTION, utcnow
from tests.tables import FIXTURES, Club, Mastery, Player, Skill, Trophy

DIALECTS: dict[str, Dialect] = {
    "postgresql": postgresql.dialect(),  # type: ignore[no-untyped-call]
    "sqlite": sqlite.dialect(),
    "mysql": mysql.dialect(),
}
CLOCKS = {
    "postgresql": "CURRENT_TIMESTAMP",
    "sqlite": "(strftime('%Y-%m-%d %H:%M:%f000', 'now'))",
    "mysql": "(utc_timestamp(6))",
}
every_dialect = pytest.mark.parametrize("dialect", DIALECTS)


def ddl(model: type[SQLModel], dialect: str) -> list[str]:
    """Return the lines that create a table, without commas, and its indexes."""
    table = mapper_of(model).local_table
    assert isinstance(table, Table)
    created = str(CreateTable(table).compile(dialect=DIALECTS[dialect]))
    indexes = sorted(str(CreateIndex(i).compile(dialect=DIALECTS[dialect])) for i in table.indexes)
    return [line.strip().removesuffix(",").strip() for line in created.splitlines()] + indexes


@every_dialect
def test_every_constraint_has_a_name(dialect: str) -> None:
    """Errors and migrations can refer to each of them, on every database alike."""
    lines = [line for model in (Club, Mastery) for line in ddl(model, dialect)]
    assert [line for line in lines if line.startswith("CONSTRAINT") and "PRIMARY" not in line] == [
        "CONSTRAINT uq_sport_club_city_name UNIQUE (city, name)",
        "CONSTRAINT uq_sport_club_code UNIQUE (code)",
        (
            "CONSTRAINT fk_sport_club_parent_id_sport_club "
            "FOREIGN KEY(parent_id) REFERENCES sport_club (id)"
        ),
        "CONSTRAINT ck_sport_mastery_points_not_negative CHECK (points >= 0)",
        (
            "CONSTRAINT fk_sport_mastery_player_id_sport_player "
            "FOREIGN KEY(player_id) REFERENCES sport_player (id)"
        ),
        (
            "CONSTRAINT fk_sport_mastery_skill_id_sport_skill "
            "FOREIGN KEY(skill_id) REFERENCES sport_skill (id)"
        ),
    ]


@every_dialect
def test_every_index_has_a_name(dialect: str) -> None:
    """An index is named after its table and columns."""
    assert [line for line in ddl(Player, dialect) if "INDEX" in line] == [
        "CREATE INDEX ix_sport_player_deleted_at ON sport_player (deleted_at)",
        "CREATE INDEX ix_sport_player_name ON sport_player (name)",
        "CREATE UNIQUE INDEX ix_sport_player_email ON sport_player (email)",
    ]


@pytest.mark.parametrize(
    ("dialect", "one", "two"),
    [
        (
            "postgresql",
            "CONSTRAINT pk_sport_club PRIMARY KEY (id)",
            "CONSTRAINT pk_sport_mastery PRIMARY KEY (player_id, skill_id)",
        ),
        (
            "sqlite",
            "CONSTRAINT pk_sport_club PRIMARY KEY (id)",
            "CONSTRAINT pk_sport_mastery PRIMARY KEY (player_id, skill_id)",
        ),
        ("mysql", "PRIMARY KEY (id)", "PRIMARY KEY (player_id, skill_id)"),
    ],
)
def test_a_primary_key_is_named_where_names_count(dialect: str, one: str, two: str) -> None:
    """MySQL calls every primary key PRIMARY and warns about another name."""
    assert one in ddl(Club, dialect)
    assert two in ddl(Mastery, dialect)


@pytest.mark.parametrize(
    ("dialect", "created", "signed"),
    [
        (
            "postgresql",
            "created_at TIMESTAMP WITH TIME ZONE DEFAULT {clock} NOT NULL",
            "signed_at TIMESTAMP WITH TIME ZONE",
        ),
        ("sqlite", "created_at DATETIME DEFAULT {clock} NOT NULL", "signed_at DATETIME"),
        ("mysql", "created_at DATETIME(6) NOT NULL DEFAULT {clock}", "signed_at DATETIME(6)"),
    ],
)
def test_times_keep_their_microseconds(dialect: str, created: str, signed: str) -> None:
    """Time stamps come from the database's clock; no database cuts them to seconds."""
    lines = ddl(Club, dialect)
    expected = created.format(clock=CLOCKS[dialect])
    assert expected in lines
    assert expected.replace("created_at", "updated_at") in lines
    assert signed in ddl(Player, dialect)


@every_dialect
def test_an_update_moves_the_time_stamp(dialect: str) -> None:
    """Also a bulk UPDATE sets updated_at by the database's clock, and leaves created_at."""
    statement = str(update(Club).values(name="A").compile(dialect=DIALECTS[dialect]))
    assert f"SET updated_at={CLOCKS[dialect]}, name=" in statement.replace("%%", "%")
    assert "created_at" not in statement


def test_the_clock_of_another_database_is_the_standard_one() -> None:
    """A dialect that we do not know gets what the SQL standard has."""
    assert str(utcnow()) == "CURRENT_TIMESTAMP"


def test_integer_keys_are_counted_by_the_database() -> None:
    """The key is None until the row is stored."""
    assert Skill(name="Dribble").id is None
    assert "id SERIAL NOT NULL" in ddl(Skill, "postgresql")
    assert "id INTEGER NOT NULL AUTO_INCREMENT" in ddl(Skill, "mysql")


def test_uuid_keys_are_made_in_order_of_time() -> None:
    """The key is known at once, is of version 7, and a later one is greater, also within 1 ms."""
    keys = [Club(name="A").id for _ in range(5000)]
    assert {(key.version, key.variant) for key in keys} == {(7, "specified in RFC 4122")}
    assert all(earlier < later for earlier, later in pairwise(keys))


def test_a_uuid_key_tells_when_it_was_made() -> None:
    """The first 48 bits are Unix time in milliseconds."""
    before = datetime.now().astimezone().timestamp()
    made = (Club(name="A").id.int >> 80) / 1000
    assert abs(made - before) < 60


def test_a_version_is_checked_by_the_mapper() -> None:
    """SQLAlchemy compares and counts the version; a model without it has no such column."""
    assert mapper_of(Player).version_id_col is mapper_of(Player).columns["version"]
    assert mapper_of(Club).version_id_col is None


@pytest.mark.parametrize("model", [Club, Player])
def test_values_of_the_database_come_back_with_the_write(model: type[SQLModel]) -> None:
    """Time stamps and versions are known after a flush, without another round trip later."""
    assert mapper_of(model).eager_defaults is True


def test_soft_delete_starts_unset() -> None:
    """A new row is alive."""
    assert Player(name="A").deleted_at is None


def test_the_convention_holds_for_plain_tables() -> None:
    """Tables without a model, such as links, share the metadata and its names."""
    assert {str(constraint.name) for constraint in FIXTURES.constraints} == {
        "pk_sport_fixture",
        "uq_sport_fixture_place",
    }
    assert SQLModel.metadata.naming_convention == NAMING_CONVENTION


def test_a_long_name_fits_the_database() -> None:
    """A name over the limit ends in a short hash instead of being refused."""
    (line,) = (line for line in ddl(Trophy, "postgresql") if "UNIQUE" in line)
    name = line.split()[1]
    assert name.startswith("uq_sport_trophy_engraving_that_is_much_longer_than_any_")
    assert len(name) <= 63


def test_an_own_naming_convention_is_kept() -> None:
    """Whoever sets a convention before the import has it after."""
    code = (
        "from sqlmodel import SQLModel\n"
        "SQLModel.metadata.naming_convention = {'pk': 'key_%(table_name)s'}\n"
        "import sqlmodelkit\n"
        "print(SQLModel.metadata.naming_convention)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "{'pk': 'key_%(table_name)s'}"
