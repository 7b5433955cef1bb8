"""What a column can hold, asked of the table models."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from pydantic import AwareDatetime, NaiveDatetime, ValidationError
from sqlalchemy import BigInteger, Column, Integer, Numeric, SmallInteger, String, Text, Time
from sqlmodel import Field, SQLModel

from sqlmodelkit.columns import (
    bounds,
    check,
    columns_of,
    key_of,
    key_values,
    mapper_of,
    misfit,
    relations_of,
    row_key,
    typed,
    value_type,
)
from sqlmodelkit.errors import ConfigError, InvalidValue
from tests.tables import Club, Mastery, Player, Skill, SportLevel, Trophy


class Diary(SQLModel, table=True):
    """Times of both kinds, and texts that are stored in ways of their own."""

    __tablename__ = "sport_diary"  # pyright: ignore[reportAssignmentType]

    id: int = Field(primary_key=True)
    local: NaiveDatetime | None = None
    exact: AwareDatetime | None = None
    clock: time | None = None
    zoned: time | None = Field(default=None, sa_type=Time(timezone=True))
    either: int | str | None = Field(default=None, sa_type=String(5))
    text: str | None = Field(default=None, sa_type=Text)
    level: SportLevel | None = None


class Ledger(SQLModel, table=True):
    """Numbers with and without limits."""

    __tablename__ = "sport_ledger"  # pyright: ignore[reportAssignmentType]

    id: int = Field(primary_key=True)
    amount: Decimal
    number: Decimal = Field(sa_type=Numeric(3))


class Plain(SQLModel):
    """No table."""

    name: str


def test_a_model_without_a_table_is_refused() -> None:
    """The message names the class and the fix."""
    with pytest.raises(ConfigError, match=r"Plain is not a table\. Declare it with table=True\."):
        mapper_of(Plain)


def test_columns_go_by_the_names_of_attributes() -> None:
    """An attribute may be named unlike its column; relations and properties are no columns."""
    assert list(columns_of(Trophy)) == [
        "year",
        "value",
        "holder",
        "engraving_that_is_much_longer_than_any_name_in_a_database_may_be",
    ]
    assert columns_of(Trophy)["holder"].name == "held_by"
    assert not {"players", "parent", "title"} & set(columns_of(Club))


def test_relations_go_by_the_names_of_attributes() -> None:
    """To-one and to-many alike."""
    assert set(relations_of(Club)) == {"parent", "branches", "players"}
    assert relations_of(Trophy) == {}


@pytest.mark.parametrize(
    ("model", "key"),
    [
        (Club, ("id",)),
        (Mastery, ("player_id", "skill_id")),
        (Trophy, ("year",)),
    ],
)
def test_a_key_has_its_attributes_in_order(model: type[SQLModel], key: tuple[str, ...]) -> None:
    """A composite key is in the order of the table."""
    assert key_of(model) == key


def test_the_key_of_a_row_is_its_value_or_a_tuple() -> None:
    """As it is given to `key_values`."""
    assert row_key(Skill)(Skill(id=3, name="Run")) == 3
    assert row_key(Mastery)(Mastery(player_id=1, skill_id=2)) == (1, 2)


@pytest.mark.parametrize(
    ("model", "key", "values"),
    [
        (Skill, 3, {"id": 3}),
        (Skill, (3,), {"id": 3}),
        (Skill, {"id": 3}, {"id": 3}),
        (Mastery, (1, 2), {"player_id": 1, "skill_id": 2}),
        (Mastery, {"skill_id": 2, "player_id": 1}, {"player_id": 1, "skill_id": 2}),
    ],
)
def test_a_key_is_given_in_several_ways(
    model: type[SQLModel], key: Any, values: dict[str, Any]
) -> None:
    """A value, a tuple in the key's order, or a mapping; the answer is in the key's order."""
    assert list(key_values(model, key).items()) == list(values.items())


@pytest.mark.parametrize(
    ("model", "key", "message"),
    [
        (Skill, (1, 2), r"The key of Skill has 1 parts?, 2 were given\. Pass \(id\)\."),
        (Mastery, 1, r"of Mastery has 2 parts, 1 were given\. Pass \(player_id, skill_id\)\."),
        (Mastery, (1, 2, 3), "2 parts, 3 were given"),
        (Mastery, {"player_id": 1}, "player_id, skill_id"),
    ],
)
def test_a_key_of_the_wrong_size_is_refused(model: type[SQLModel], key: Any, message: str) -> None:
    """The message says what belongs into the key."""
    with pytest.raises(ConfigError, match=message):
        key_values(model, key)


@pytest.mark.parametrize(
    ("model", "name", "kind"),
    [
        (Club, "id", UUID),
        (Skill, "id", int),
        (Club, "parent_id", UUID),
        (Club, "budget", Decimal),
        (Club, "founded", date),
        (Player, "level", SportLevel),
        (Player, "signed_at", datetime),
        (Player, "deleted_at", datetime),
        (Diary, "either", int | str | None),
        (Club, "facts", dict[str, Any]),
    ],
)
def test_the_type_of_a_value_is_that_of_the_annotation(
    model: type[SQLModel], name: str, kind: Any
) -> None:
    """None is left out of it, where one type remains."""
    assert value_type(model, name) == kind


def test_a_column_without_a_field_has_the_type_of_its_column() -> None:
    """Columns can be added to a mapped table in SQLAlchemy's way."""
    assert value_type(Tally, "extra") is int


class Tally(SQLModel, table=True):
    """A column that is no field of the model."""

    __tablename__ = "sport_tally"  # pyright: ignore[reportAssignmentType]

    id: int = Field(primary_key=True)


setattr(Tally, "extra", Column("extra", Integer))  # noqa: B010 - no field, so not declared


@pytest.mark.parametrize(
    ("model", "name", "given", "value"),
    [
        (Skill, "id", "3", 3),
        (Player, "level", "junior", SportLevel.JUNIOR),
        (Club, "founded", "2026-01-31", date(2026, 1, 31)),
        (Club, "budget", "1.50", Decimal("1.50")),
        (Club, "is_open", "yes", True),
    ],
)
def test_a_value_is_read_as_pydantic_reads_it(
    model: type[SQLModel], name: str, given: Any, value: Any
) -> None:
    """Text becomes the attribute's type, the second time as the first."""
    assert [typed(model, name, given), typed(model, name, given)] == [value, value]


def test_a_value_that_cannot_be_read_is_pydantic_s_error() -> None:
    """The caller words the refusal."""
    with pytest.raises(ValidationError):
        typed(Skill, "id", "three")


@pytest.mark.parametrize(
    ("column", "limits"),
    [
        (Column(SmallInteger), (-(2**15), 2**15 - 1)),
        (Column(Integer), (-(2**31), 2**31 - 1)),
        (Column(BigInteger), (-(2**63), 2**63 - 1)),
        (Column(String), None),
    ],
)
def test_whole_numbers_have_bounds(column: Column[Any], limits: tuple[int, int] | None) -> None:
    """The least and the greatest number by the width of the column."""
    assert bounds(column) == limits


def nested(depth: int) -> Any:
    """Return JSON of so many levels."""
    value: Any = {}
    for _ in range(depth - 1):
        value = {"a": value}
    return value


FITTING: list[tuple[type[SQLModel], str, Any]] = [
    (Player, "email", None),
    (Player, "shirt", 32767),
    (Player, "shirt", -32768),
    (Trophy, "value", 2**63 - 1),
    (Club, "is_open", True),
    (Player, "name", "x" * 40),
    (Player, "name", "ä" * 40),
    (Diary, "text", "x" * 100_000),
    (Diary, "local", datetime(2026, 1, 31, 12)),  # noqa: DTZ001 - naive on purpose
    (Player, "signed_at", datetime(2026, 1, 31, 12, tzinfo=UTC)),
    (Player, "level", SportLevel.SENIOR),
    (Club, "facts", nested(100)),
    (Diary, "clock", time(12, 30)),
    (Diary, "zoned", time(12, tzinfo=UTC)),
    (Club, "facts", {"a": [1, -2.5, None, True, {"ä": "😀"}]}),
    (Diary, "level", "a text that is no length's business"),
    (Player, "score", 1e300),
    (Club, "parent_id", uuid4()),
    (Club, "budget", Decimal("9999999999.99")),
    (Club, "budget", Decimal("-9999999999.994")),
    (Ledger, "amount", Decimal("1e100")),
    (Ledger, "number", Decimal(999)),
    (Club, "facts", {"any": ["thing"]}),
]


@pytest.mark.parametrize(("model", "name", "value"), FITTING)
def test_a_value_within_the_bounds_fits(model: type[SQLModel], name: str, value: Any) -> None:
    """The greatest and the longest that a column holds is let through."""
    assert misfit(columns_of(model)[name], value) is None


EARLY = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))
MISFITS: list[tuple[type[SQLModel], str, Any, str]] = [
    (Player, "name", None, "it must not be null"),
    (Player, "shirt", 32768, "it must be between -32768 and 32767"),
    (Player, "shirt", -32769, "it must be between -32768 and 32767"),
    (Skill, "id", 2**31, "it must be between -2147483648 and 2147483647"),
    (Trophy, "value", 2**63, f"it must be between {-(2**63)} and {2**63 - 1}"),
    (Player, "name", "x" * 41, "it must have at most 40 characters"),
    (Diary, "either", "x" * 6, "it must have at most 5 characters"),
    (Player, "name", "a\x00b", "text cannot have the character NUL"),
    (Diary, "text", "\x00", "text cannot have the character NUL"),
    (Player, "name", "a\ud800", "text cannot have a lone surrogate"),
    (Club, "facts", {"a": [{"b": "a\x00b"}]}, "text cannot have the character NUL"),
    (Club, "facts", {"a": ["a\ud800"]}, "text cannot have a lone surrogate"),
    (Club, "facts", {"a": {"\udfff": 1}}, "text cannot have a lone surrogate"),
    (Club, "facts", nested(101), "it is nested more than 100 deep"),
    (Club, "budget", Decimal("1e-401"), "it has more than 400 places"),
    (Club, "budget", Decimal("0e401"), "it has more than 400 places"),
    (Club, "facts", {"a": [1, float("inf")]}, "a number inside it must be finite"),
    (Diary, "clock", time(12, tzinfo=UTC), "a time of day has no offset here"),
    (Player, "signed_at", EARLY, "in UTC it must be between the years 1 and 9999"),
    (Player, "score", float("nan"), "it must be a finite number"),
    (Player, "score", float("-inf"), "it must be a finite number"),
    (Club, "budget", Decimal("NaN"), "it must be a finite number"),
    (Club, "budget", Decimal(10000000000), "it must have at most 10 digits before the point"),
    (Club, "budget", Decimal("-9999999999.995"), "it must have at most 10 digits before the point"),
    (Ledger, "number", Decimal(1000), "it must have at most 3 digits before the point"),
    (
        Player,
        "signed_at",
        datetime(2026, 1, 31, 12),  # noqa: DTZ001 - naive on purpose
        "the time needs its offset from UTC, as in 2026-01-31T12:00:00Z",
    ),
    (
        Diary,
        "exact",
        datetime(2026, 1, 31, 12),  # noqa: DTZ001 - naive on purpose
        "the time needs its offset from UTC, as in 2026-01-31T12:00:00Z",
    ),
]


@pytest.mark.parametrize(("model", "name", "value", "reason"), MISFITS)
def test_a_value_beyond_the_bounds_is_told_why(
    model: type[SQLModel], name: str, value: Any, reason: str
) -> None:
    """Values are refused alike on every database, before they are sent."""
    assert misfit(columns_of(model)[name], value) == reason


def test_a_refused_value_names_its_field_and_model() -> None:
    """The error says where the value was to go."""
    values: Mapping[str, Any] = {"email": None, "name": "x" * 41}
    with pytest.raises(InvalidValue) as caught:
        check(Player, values)
    assert caught.value.message == (
        "name does not fit its column: it must have at most 40 characters."
    )
    assert (caught.value.fields, caught.value.model) == (("name",), "Player")


@pytest.mark.parametrize("name", ["nickname", "club", "held_by"])
def test_a_value_without_a_column_is_refused(name: str) -> None:
    """A value that would go nowhere is a mistake of the declaration."""
    with pytest.raises(ConfigError, match=f"has no column for '{name}'"):
        check(Player if name != "held_by" else Trophy, {name: 1})


def test_values_that_fit_pass() -> None:
    """Fields that were not given are not asked for: they have defaults."""
    check(Player, {"name": "A", "shirt": 7})
