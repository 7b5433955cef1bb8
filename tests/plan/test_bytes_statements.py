"""What the statement of a whole response looks like, and what keeps it from being made."""

from datetime import datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, ClassVar, Optional
from uuid import UUID

import pytest
from pydantic import BaseModel, ConfigDict, Field, create_model
from sqlalchemy import (
    JSON,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Interval,
    MetaData,
    Numeric,
    Select,
    String,
    Table,
    Text,
    Uuid,
    select,
)
from sqlalchemy import Enum as EnumType
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.orm import with_loader_criteria
from sqlmodel import Field as Stored
from sqlmodel import Relationship, SQLModel

from sqlmodelkit import Plan
from sqlmodelkit.plan.bytes import bytes_obstacles, json_items, json_select
from sqlmodelkit.sessions import ONLY_LIVE
from tests.plan.test_exactness import ClubTree, MasteryOut, ShoutingClub, SkillOut
from tests.tables import Club, Mastery, Player, Skill

LATEST = {"postgresql": (15,), "sqlite": (3, 45), "mysql": (8, 4), "mariadb": (11, 4)}
DIALECTS: dict[str, Any] = {
    "postgresql": postgresql.asyncpg.dialect(),  # type: ignore[no-untyped-call]
    "sqlite": sqlite.dialect(),
    "mysql": mysql.asyncmy.dialect(),
    "mariadb": mysql.asyncmy.dialect(),
}  # fmt: skip
every_dialect = pytest.mark.parametrize("dialect", list(LATEST))


class Paint(Enum):
    """Stored by values, two of which are the same."""

    RED = "red"
    BLUE = "blue"
    AZURE = "blue"  # noqa: PIE796


class Dark(Enum):
    """What nobody prints."""

    THING = object()


OWN = MetaData()
LINKS = Table(
    "bytes_links",
    OWN,
    Column("one", ForeignKey("bytes_fact.id")),
    Column("other", ForeignKey("bytes_fact.id")),
)


class Cat(SQLModel, table=True):
    """A table of several models."""

    __tablename__ = "bytes_cat"  # pyright: ignore[reportAssignmentType]
    __mapper_args__: ClassVar[dict[str, Any]] = {"polymorphic_on": "kind"}
    metadata = OWN

    id: int = Stored(primary_key=True)
    kind: str
    name: str


class Fact(SQLModel, table=True):
    """Columns that some database, or none, prints."""

    __tablename__ = "bytes_fact"  # pyright: ignore[reportAssignmentType]

    metadata = OWN

    id: int = Stored(primary_key=True)
    score: float = 0
    loose: Decimal = Decimal(0)
    fine: Decimal = Stored(default=Decimal(0), max_digits=20, decimal_places=7)
    exact: Decimal = Stored(default=Decimal(0), max_digits=20, decimal_places=6)
    floating: Decimal = Stored(default=Decimal(0), sa_type=Float(asdecimal=True))
    rough: float = Stored(default=0, sa_type=Numeric(10, 2, asdecimal=False))
    span: timedelta = Stored(default=timedelta(), sa_type=Interval)
    raw: bytes = b""
    doc: dict[str, Any] = Stored(default_factory=dict, sa_type=JSON)
    at: time = time()
    zoned: datetime = Stored(sa_type=DateTime(timezone=True))
    text_uid: UUID = Stored(sa_type=Uuid(native_uuid=False))
    various: str = Stored(sa_type=String().with_variant(Text(), "mysql"))
    padded: int = Stored(sa_type=mysql.INTEGER(zerofill=True))
    paint: Paint = Stored(sa_type=EnumType(Paint, omit_aliases=False))
    dark: Dark = Stored(sa_type=EnumType(Dark))
    mate_id: int | None = Stored(default=None)
    tag: int | None = Stored(default=None, unique=True)
    mate: Optional["Fact"] = Relationship(
        sa_relationship_kwargs={
            "primaryjoin": "foreign(Fact.mate_id) == remote(Fact.tag)",
            "viewonly": True,
        }
    )
    linked: list["Fact"] = Relationship(
        sa_relationship_kwargs={
            "secondary": LINKS,
            "primaryjoin": "Fact.id == bytes_links.c.one",
            "secondaryjoin": "and_(Fact.id == bytes_links.c.other, Fact.score > 1)",
            "viewonly": True,
        }
    )
    other_id: int | None = Stored(default=None, foreign_key="bytes_fact.id")
    odd: list["Fact"] = Relationship(
        sa_relationship_kwargs={
            "primaryjoin": "and_(Fact.id == foreign(Fact.other_id), Fact.score > 1)",
            "viewonly": True,
            "remote_side": "Fact.other_id",
        }
    )
    single: Optional["Fact"] = Relationship(
        sa_relationship_kwargs={"uselist": False, "viewonly": True, "remote_side": "Fact.other_id"}
    )


class FactBrief(BaseModel):
    """A fact alone."""

    id: int


class SkillTeam(BaseModel):
    """A collection of rows that may be deleted."""

    players: list[FactBrief]


def found(model: type[SQLModel], response: type[BaseModel], dialect: str) -> list[str]:
    """Return the obstacles of a response on the latest version of a database."""
    return list(bytes_obstacles(Plan.of(model, response).shape, dialect, LATEST[dialect]))


def showing(name: str, annotation: Any, **options: Any) -> type[BaseModel]:
    """Return a response model with one field."""
    fields: dict[str, Any] = {name: (annotation, Field(**options))}
    model: type[BaseModel] = create_model("Out", **fields)
    return model


def compiled(statement: Select[Any], dialect: str) -> str:
    """Return a statement as text on one line."""
    return " ".join(str(statement.compile(dialect=DIALECTS[dialect])).split())


NEVER = {
    "loose": (Decimal, "is a Decimal without a fixed scale of at most 6"),
    "fine": (Decimal, "is a Decimal without a fixed scale of at most 6"),
    "floating": (Decimal, "is stored as Float, which {} does not print exactly"),
    "rough": (float, "is stored as Numeric, which {} does not print exactly"),
    "span": (timedelta, "is stored as Interval, which {} does not print exactly"),
    "raw": (bytes, "is stored as LargeBinary, which {} does not print exactly"),
    "doc": (dict[str, Any], "is stored as JSON, which {} does not print exactly"),
    "zoned": (datetime, "is stored as DateTime, which {} does not print exactly"),
    "various": (str, "has a type that depends on the database"),
    "padded": (int, "is stored as INTEGER, which {} does not print exactly"),
    "paint": (Paint, "is an Enum stored with names of its own"),
}
SOMETIMES = {
    "score": (float, "Float", {"sqlite", "mysql", "mariadb"}),
    "exact": (Decimal, "Numeric", {"sqlite"}),
    "at": (time, "Time", {"mysql", "mariadb"}),
}


@every_dialect
@pytest.mark.parametrize("name", list(NEVER))
def test_a_type_that_no_database_prints_is_named(dialect: str, name: str) -> None:
    """The reason names the field, the type and the database."""
    annotation, reason = NEVER[name]
    if dialect == "sqlite" and annotation is Decimal and name != "floating":
        reason = "is stored as Numeric, which {} does not print exactly"
    assert f"Out.{name} {reason.format(dialect)}" in found(Fact, showing(name, annotation), dialect)


@every_dialect
@pytest.mark.parametrize("name", list(SOMETIMES))
def test_a_type_that_some_databases_print_is_named_for_the_others(dialect: str, name: str) -> None:
    """Each database has its own exact types."""
    annotation, kind, refused = SOMETIMES[name]
    reason = f"Out.{name} is stored as {kind}, which {dialect} does not print exactly"
    assert found(Fact, showing(name, annotation), dialect) == [reason] * (dialect in refused)


@every_dialect
def test_a_uuid_is_printed_from_what_its_database_stores(dialect: str) -> None:
    """On PostgreSQL text is not a UUID's own form."""
    reasons = ["Out.text_uid is a UUID that is stored as text"] * (dialect == "postgresql")
    assert found(Fact, showing("text_uid", UUID), dialect) == reasons


def test_what_has_an_obstacle_is_not_printed_at_all() -> None:
    """A mistake is loud, whoever makes it."""
    for model, response in (
        (Fact, showing("doc", dict[str, Any])),
        (Fact, showing("score", float)),
        (Fact, showing("at", time)),
        (Player, showing("skills", list[SkillOut])),
    ):
        base: Any = select(model)
        with pytest.raises((TypeError, NotImplementedError)):
            json_select(Plan.of(model, response).shape, base, "mysql")


def test_tables_that_are_shared_are_left_to_the_rows() -> None:
    """A row may be of another model there."""
    (reason,) = found(Cat, showing("name", str), "sqlite")
    assert reason == "Cat shares its table with other models"


def test_a_link_with_a_condition_of_its_own_is_left_to_the_rows() -> None:
    """Both halves of a many-to-many relation have to be plain."""
    reasons = found(Fact, showing("linked", list[FactBrief]), "sqlite")
    assert reasons == ["Out.linked is joined by a condition of its own"]
    assert found(Fact, showing("mate", FactBrief | None), "sqlite") == []


def test_an_enum_without_json_is_an_obstacle() -> None:
    """Pydantic cannot print it either."""
    reason = "Out.dark is an Enum whose values are not JSON"
    assert reason in found(Fact, showing("dark", Dark), "sqlite")


@every_dialect
def test_what_is_not_shown_is_no_obstacle(dialect: str) -> None:
    """Excluded fields and relations are not read."""
    excluded = create_model(
        "Out",
        id=(int, ...),
        doc=(dict[str, Any], Field(exclude=True)),
        odd=(list[FactBrief], Field(exclude=True)),
    )
    assert found(Fact, excluded, dialect) == []
    assert "doc" not in compiled(
        json_select(Plan.of(Fact, excluded).shape, select(Fact), dialect), dialect
    )


@pytest.mark.parametrize("dialect", ["mysql", "mariadb"])
def test_collections_are_left_to_the_rows_where_they_could_be_cut_off(dialect: str) -> None:
    """GROUP_CONCAT has a limit, and JSON_ARRAYAGG has it too or has no order."""
    reason = f"Out.skills is a collection, which {dialect} cuts off or does not order"
    assert found(Player, showing("skills", list[SkillOut]), dialect) == [reason]


@every_dialect
def test_relations_with_conditions_of_their_own_are_left_to_the_rows(dialect: str) -> None:
    """Also one row of several that match: which of them is not known."""
    reason = "is joined by a condition of its own"
    assert f"Out.odd {reason}" in found(Fact, showing("odd", list[FactBrief]), dialect)
    assert found(Fact, showing("single", FactBrief | None), dialect) == [f"Out.single {reason}"]


@every_dialect
def test_code_of_the_response_model_is_an_obstacle(dialect: str) -> None:
    """What keeps values from being printed as they come keeps the database from printing them."""
    assert "ShoutingClub.shout is code of the model" in found(Club, ShoutingClub, dialect)
    sometimes = showing("name", str, exclude_if=bool)
    assert found(Club, sometimes, dialect) == ["Out.name is left out by code of the model"]
    seconds = create_model(
        "Out", __config__=ConfigDict(ser_json_temporal="seconds"), name=(str, ...)
    )
    assert found(Club, seconds, dialect) == ["Out is configured with ser_json_temporal"]


def test_old_and_unknown_databases_are_obstacles() -> None:
    """A version that is not known is taken for a new one."""
    shape = Plan.of(Club, showing("name", str)).shape
    assert list(bytes_obstacles(shape, "oracle", ())) == ["oracle is not known"]
    assert list(bytes_obstacles(shape, "sqlite", (3, 37, 2))) == ["sqlite is older than 3.38"]
    assert list(bytes_obstacles(shape, "mariadb", (10, 4, 1))) == ["mariadb is older than 10.5"]
    assert list(bytes_obstacles(shape, "sqlite", ())) == []


def test_postgresql_cuts_the_page_before_any_text_is_made() -> None:
    """The page is the innermost part, and each text is made once."""
    shape = Plan.of(Club, showing("name", str, serialization_alias="it's 5% \\")).shape
    base = select(Club).order_by(Club.city).limit(5)
    assert compiled(json_select(shape, base, "postgresql"), "postgresql") == (
        "SELECT count(*) AS number, CASE WHEN (count(*) = count(anon_1.item)) "
        "THEN coalesce(string_agg(anon_1.item, ','), '') END AS items "
        "FROM (SELECT E'{\"it''s 5\\x25 \\\\\\\\\":' || CAST(to_json(anon_2.c1) AS TEXT) || '}' AS item "
        "FROM (SELECT sport_club.id AS c0, sport_club.name AS c1 FROM sport_club "
        "ORDER BY sport_club.city LIMIT $1::INTEGER) AS anon_2 LIMIT ALL OFFSET 0) AS anon_1"
    )


def test_mysql_prints_row_by_row() -> None:
    """Nothing is put together there, so that nothing is cut off."""
    shape = Plan.of(Mastery, MasteryOut).shape
    base = select(Mastery).limit(5)
    assert compiled(json_select(shape, base, "mysql"), "mysql") == (
        "SELECT 1 AS number, concat('{\"points\":', CAST(sport_mastery.points AS CHAR), "
        "',\"skill\":', nullif(coalesce((SELECT coalesce(concat('{\"id\":', "
        "CAST(sport_skill_1.id AS CHAR), ',\"name\":', json_quote(sport_skill_1.name), '}'), '!') "
        "AS coalesce_1 FROM sport_skill AS sport_skill_1 "
        "WHERE sport_mastery.skill_id = sport_skill_1.id), 'null'), '!'), '}') AS items "
        "FROM sport_mastery LIMIT %s"
    )


@every_dialect
def test_no_name_can_be_taken_for_a_parameter(dialect: str) -> None:
    """Names with what drivers look for stay out of the text, or are no placeholders there."""
    shape = Plan.of(Club, showing("name", str, serialization_alias="%(x)s %s")).shape
    statement = json_select(shape, select(Club), dialect)
    assert "%" not in compiled(statement, dialect)
    assert not statement.compile(dialect=DIALECTS[dialect]).params


@pytest.mark.parametrize("dialect", ["postgresql", "sqlite"])
def test_scopes_reach_every_level(dialect: str) -> None:
    """Criteria on the outermost statement, or on the select of the page, hold everywhere."""
    shape = Plan.of(Club, ClubTree).shape
    statement = json_select(shape, select(Club), dialect)
    assert "deleted_at" not in compiled(statement, dialect)
    assert compiled(statement.options(ONLY_LIVE), dialect).count("deleted_at IS NULL") == 2
    cities = with_loader_criteria(Club, lambda model: model.city == "Bern", include_aliases=True)
    for scoped in (
        statement.options(cities),
        json_select(shape, select(Club).options(cities), dialect),
    ):
        assert compiled(scoped, dialect).count("city = ") == 2
    far = json_select(Plan.of(Skill, SkillTeam).shape, select(Skill), dialect).options(ONLY_LIVE)
    assert compiled(far, dialect).count("deleted_at IS NULL") == 1


@every_dialect
def test_options_of_execution_are_kept(dialect: str) -> None:
    """So that a statement that includes deleted rows still says so."""
    base = select(Club).execution_options(include_deleted=True)
    statement = json_select(Plan.of(Club, showing("name", str)).shape, base, dialect)
    assert statement.get_execution_options()["include_deleted"] is True


def test_what_was_answered_is_put_together() -> None:
    """Rows come one by one, or all in one; what is missing spoils the whole."""
    assert json_items([]) == (0, b"")
    assert json_items([(2, '{"a":"ü"},{"a":1}')]) == (2, '{"a":"ü"},{"a":1}'.encode())
    assert json_items([(1, "{}"), (1, "{}")]) == (2, b"{},{}")
    assert json_items([(1, "{}"), (1, None)]) is None
