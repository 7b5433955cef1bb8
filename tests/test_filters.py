"""The filter grammar as SQL text, for three databases."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Dialect, select
from sqlalchemy.dialects.mysql import asyncmy
from sqlalchemy.dialects.postgresql import asyncpg
from sqlalchemy.dialects.sqlite import aiosqlite
from sqlmodel import col

from sqlmodelkit.errors import FilterError
from sqlmodelkit.filters import (
    ALIASES,
    OPERATORS,
    Filter,
    all_of,
    any_of,
    compile_filters,
    count_conditions,
    not_,
    where,
)
from tests.tables import Club, Player

DIALECTS: dict[str, Dialect] = {
    "postgresql": asyncpg.dialect(),  # type: ignore[no-untyped-call]
    "sqlite": aiosqlite.dialect(),
    "mysql": asyncmy.dialect(),
}
every_dialect = pytest.mark.parametrize("dialect", DIALECTS)
UUID_TEXT = "019a0000-0000-7000-8000-000000000000"
NAME = "sport_player.name"


def sql(dialect: str, *filters: Filter, **conditions: Any) -> str:
    """Return the WHERE of players in one line, with values in it and without the table's name."""
    found = compile_filters(Player, *filters, conditions=conditions, dialect=dialect)
    statement = select(Player).where(*found)
    text = str(statement.compile(dialect=DIALECTS[dialect], compile_kwargs={"literal_binds": True}))
    # The MySQL drivers format with %, so that SQLAlchemy doubles it.
    text = text.replace("%%", "%") if dialect == "mysql" else text
    return " ".join(text.partition("WHERE ")[2].split()).replace("sport_player.", "")


def alike(text: str) -> tuple[str, str, str]:
    """Say that the three databases are asked in the same words."""
    return text, text, text


# What `x%_/'` looks like when it is to be found as it stands, after an escape of its own.
PLAIN = "x/%/_//''"
OPERATOR_SQL: dict[str, tuple[str, Any, tuple[str, str, str]]] = {
    "eq": ("shirt", 7, alike("shirt = 7")),
    "ne": ("shirt", 7, alike("shirt != 7")),
    "gt": ("shirt", 7, alike("shirt > 7")),
    "gte": ("shirt", 7, alike("shirt >= 7")),
    "lt": ("shirt", 7, alike("shirt < 7")),
    "lte": ("shirt", 7, alike("shirt <= 7")),
    "between": ("shirt", (1, 9), alike("shirt BETWEEN 1 AND 9")),
    "in": ("shirt", [1, 2], alike("shirt IN (1, 2)")),
    "not_in": ("shirt", [1, 2], alike("(shirt NOT IN (1, 2))")),
    "is": ("score", None, alike("score IS NULL")),
    "is_not": ("score", None, alike("score IS NOT NULL")),
    "like": ("name", "x%_'", alike("name LIKE 'x%_''' ESCAPE '{escape}'")),
    "not_like": ("name", "x%_'", alike("name NOT LIKE 'x%_''' ESCAPE '{escape}'")),
    "ilike": (
        "name",
        "X%",
        (
            "name ILIKE 'X%' ESCAPE '{escape}'",
            "lower(name) LIKE lower('X%') ESCAPE '{escape}'",
            "lower(name) LIKE lower('X%') ESCAPE '{escape}'",
        ),
    ),
    "not_ilike": (
        "name",
        "X%",
        (
            "name NOT ILIKE 'X%' ESCAPE '{escape}'",
            "lower(name) NOT LIKE lower('X%') ESCAPE '{escape}'",
            "lower(name) NOT LIKE lower('X%') ESCAPE '{escape}'",
        ),
    ),
    "startswith": (
        "name",
        "x%_/'",
        (f"name LIKE '{PLAIN}%' ESCAPE '/'",) * 3,
    ),
    "endswith": (
        "name",
        "x%_/'",
        (f"name LIKE '%{PLAIN}' ESCAPE '/'",) * 3,
    ),
    "contains": (
        "name",
        "x%_/'",
        (f"name LIKE '%{PLAIN}%' ESCAPE '/'",) * 3,
    ),
    "istartswith": (
        "name",
        "x%_/'",
        (
            f"name ILIKE '{PLAIN}%' ESCAPE '/'",
            *(f"lower(name) LIKE lower('{PLAIN}%') ESCAPE '/'",) * 2,
        ),
    ),
    "iendswith": (
        "name",
        "x%_/'",
        (
            f"name ILIKE '%{PLAIN}' ESCAPE '/'",
            *(f"lower(name) LIKE lower('%{PLAIN}') ESCAPE '/'",) * 2,
        ),
    ),
    "icontains": (
        "name",
        "x%_/'",
        (
            f"name ILIKE '%{PLAIN}%' ESCAPE '/'",
            *(f"lower(name) LIKE lower('%{PLAIN}%') ESCAPE '/'",) * 2,
        ),
    ),
    "match": (
        "name",
        "fast",
        (
            "to_tsvector('simple', name) @@ websearch_to_tsquery('simple', 'fast')",
            "",
            "MATCH (name) AGAINST ('fast' IN BOOLEAN MODE)",
        ),
    ),
}


def expected(operator: str, dialect: str) -> str:
    """Return the SQL that an operator of the table above is to give."""
    texts = dict(zip(DIALECTS, OPERATOR_SQL[operator][2], strict=True))
    return texts[dialect].replace("{escape}", "\\\\" if dialect == "mysql" else "\\")


def test_the_table_of_this_test_has_every_operator() -> None:
    """A new operator comes with its SQL."""
    assert list(OPERATOR_SQL) == list(OPERATORS)


@every_dialect
@pytest.mark.parametrize("operator", [name for name in OPERATORS if name != "match"])
def test_each_operator_has_its_sql(operator: str, dialect: str) -> None:
    """Text of users stays text: only like and ilike know % and _."""
    field, value, _ = OPERATOR_SQL[operator]
    assert sql(dialect, **{f"{field}__{operator}": value}) == expected(operator, dialect)


def test_match_is_the_full_text_search_of_the_database() -> None:
    """PostgreSQL has one for ordinary tables; `test_filters_fulltext` tries the engines."""
    assert sql("postgresql", name__match="fast") == expected("match", "postgresql")


def test_match_is_refused_on_sqlite() -> None:
    """SQLite has it for special tables only; the message says what to use."""
    with pytest.raises(FilterError, match=r"name__match: SQLite has no full-text .* icontains"):
        sql("sqlite", name__match="fast")


@every_dialect
@pytest.mark.parametrize("alias", ALIASES)
def test_each_alias_means_its_operator(alias: str, dialect: str) -> None:
    """Spellings of other libraries work."""
    field, value, _ = OPERATOR_SQL[ALIASES[alias]]
    found = sql(dialect, **{f"{field}__{alias}": value})
    assert found == expected(ALIASES[alias], dialect)


@pytest.mark.parametrize("operator", ["like", "ilike", "not_like", "not_ilike"])
def test_a_pattern_can_hold_its_wildcards_as_text(operator: str) -> None:
    r"""A backslash makes % and _ plain, on every database: the escape is always named."""
    assert r"'50\%'" in sql("postgresql", **{f"name__{operator}": r"50\%"})


@pytest.mark.parametrize(
    ("dialect", "nothing", "everything"),
    [
        ("postgresql", "false", "true"),
        ("sqlite", "0 = 1", "1 = 1"),
        ("mysql", "false = 1", "true = 1"),
    ],
)
def test_an_empty_list_holds_no_value(dialect: str, nothing: str, everything: str) -> None:
    """In an empty list is no row, and not in it is every row, NULLs included."""
    assert sql(dialect, shirt__in=[]) == nothing
    assert sql(dialect, shirt__not_in=[]) == everything


@every_dialect
def test_none_means_null_for_equality(dialect: str) -> None:
    """Equal and not equal to None are IS NULL and IS NOT NULL."""
    assert sql(dialect, score=None) == sql(dialect, score__is=None) == "score IS NULL"
    assert sql(dialect, score__ne=None) == "score IS NOT NULL"


@pytest.mark.parametrize(
    ("dialect", "true", "false"),
    [("postgresql", "true", "false"), ("sqlite", "1", "0"), ("mysql", "true", "false")],
)
def test_is_compares_with_true_and_false(dialect: str, true: str, false: str) -> None:
    """A flag that may be NULL can be asked for without its NULLs."""
    assert f"is_open IS {true})" in sql(dialect, club__is_open__is=True)
    assert f"is_open IS NOT {false})" in sql(dialect, club__is_open__is_not=False)


TYPED: list[tuple[str, Any, tuple[str, str, str]]] = [
    ("level", "junior", alike("level = 'JUNIOR'")),
    ("shirt", "7", alike("shirt = 7")),
    ("score", "1.5", alike("score = 1.5")),
    ("club__budget", "1.50", alike("{club}budget = 1.50)")),
    ("club__founded", "2026-01-31", alike("{club}founded = '2026-01-31')")),
    ("club__is_open", "true", ("{club}is_open = true)", "{club}is_open = 1)", "{club}is_open = true)")),
    (
        "club_id",
        UUID_TEXT,
        (
            f"club_id = '{UUID_TEXT}'",
            f"club_id = '{UUID(UUID_TEXT).hex}'",
            f"club_id = '{UUID(UUID_TEXT).hex}'",
        ),
    ),
    (
        "signed_at",
        "2026-01-31T13:00:00+01:00",
        (
            "signed_at = '2026-01-31 12:00:00+00:00'",
            "signed_at = '2026-01-31 12:00:00.000000'",
            "signed_at = '2026-01-31 12:00:00+00:00'",
        ),
    ),
]  # fmt: skip


@every_dialect
@pytest.mark.parametrize(("field", "value", "texts"), TYPED)
def test_text_becomes_a_value_of_the_field(
    field: str, value: str, texts: tuple[str, str, str], dialect: str
) -> None:
    """What came as text is compared as what it is, in each database's way."""
    text = dict(zip(DIALECTS, texts, strict=True))[dialect]
    club = "EXISTS (SELECT 1 FROM sport_club WHERE sport_club.id = club_id AND sport_club."
    assert sql(dialect, **{field: value}) == text.replace("{club}", club)


def test_values_of_the_right_type_are_taken_as_they_are() -> None:
    """Code passes objects, not texts."""
    moment = datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert sql("sqlite", signed_at__lt=moment) == "signed_at < '2026-01-31 12:00:00.000000'"


@pytest.mark.parametrize(
    "many", [[1, 2], (1, 2), {1, 2}, frozenset({1, 2}), {1: "a", 2: "b"}.keys()]
)
def test_a_list_is_any_collection(many: Any) -> None:
    """Lists, tuples, sets."""
    assert sql("sqlite", shirt__in=many) == "shirt IN (1, 2)"


PARENT = (
    "EXISTS (SELECT 1 FROM sport_club WHERE sport_club.id = club_id AND (EXISTS (SELECT 1 "
    "FROM sport_club AS sport_club_1 WHERE sport_club_1.id = sport_club.parent_id AND "
)


@every_dialect
@pytest.mark.parametrize(
    ("field", "text"),
    [
        pytest.param(
            "club__name",
            "EXISTS (SELECT 1 FROM sport_club WHERE sport_club.id = club_id"
            " AND sport_club.name = 'A')",
            id="to one",
        ),
        pytest.param(
            "masteries__points",
            "EXISTS (SELECT 1 FROM sport_mastery WHERE id = sport_mastery.player_id"
            " AND sport_mastery.points = 3)",
            id="collection",
        ),
        pytest.param(
            "skills__name",
            "EXISTS (SELECT 1 FROM sport_skill, sport_mastery"
            " WHERE id = sport_mastery.player_id AND sport_skill.id = sport_mastery.skill_id"
            " AND sport_skill.name = 'A')",
            id="over a link",
        ),
        pytest.param(
            "masteries__skill__name",
            "EXISTS (SELECT 1 FROM sport_mastery WHERE id = sport_mastery.player_id"
            " AND (EXISTS (SELECT 1 FROM sport_skill WHERE sport_skill.id = sport_mastery.skill_id"
            " AND sport_skill.name = 'A')))",
            id="two levels",
        ),
        pytest.param(
            "club__parent__name__in",
            PARENT + "sport_club_1.name IN ('A', 'B'))))",
            id="to itself, with an operator",
        ),
        pytest.param(
            "club__parent__parent__name",
            PARENT + "(EXISTS (SELECT 1 FROM sport_club AS sport_club_2"
            " WHERE sport_club_2.id = sport_club_1.parent_id AND sport_club_2.name = 'A')))))",
            id="as deep as allowed",
        ),
    ],
)
def test_a_path_goes_along_relations(field: str, text: str, dialect: str) -> None:
    """To-one and to-many alike: a row matches when a related row does."""
    value: Any = 3 if field.endswith("points") else ["A", "B"] if field.endswith("in") else "A"
    assert sql(dialect, **{field: value}) == text


def test_a_path_deeper_than_allowed_is_refused() -> None:
    """Each level is a subquery; the message names the whole path."""
    with pytest.raises(FilterError, match="more than 3 relations") as caught:
        sql("sqlite", club__parent__parent__parent__name="A")
    assert caught.value.fields == ("club__parent__parent__parent__name",)
    assert caught.value.message.startswith("club__parent__parent__parent__name ")


def test_conditions_are_joined_by_and() -> None:
    """Filters and keywords together, in the order given."""
    found = sql("sqlite", where(shirt=1, score=2), col(Player.name) == "x", level="senior")
    assert found == "shirt = 1 AND score = 2.0 AND name = 'x' AND level = 'SENIOR'"


def test_groups_nest() -> None:
    """Any, all and not, with keywords and SQLAlchemy expressions in them."""
    club: Any = Player.club
    found = sql(
        "sqlite",
        any_of(
            where(shirt=1),
            all_of(where(shirt=2, score=2), not_(where(name="x"), col(Player.shirt) > 3)),
            club.has(col(Club.name) == "A"),
        ),
        where(shirt__lt=9),
    )
    assert found == (
        "(shirt = 1 OR shirt = 2 AND score = 2.0 AND NOT (name = 'x' AND shirt > 3)"
        " OR (EXISTS (SELECT 1 FROM sport_club WHERE sport_club.id = club_id"
        " AND sport_club.name = 'A'))) AND shirt < 9"
    )


def test_not_holds_for_the_conditions_taken_together() -> None:
    """Not of two conditions lets a row through that meets one of them."""
    assert sql("sqlite", not_(where(shirt=1, score=2))) == "NOT (shirt = 1 AND score = 2.0)"
    assert sql("sqlite", not_(any_of(where(shirt=1), where(score=2)))) == (
        "NOT (shirt = 1 OR score = 2.0)"
    )


@pytest.mark.parametrize(
    ("group", "text"),
    [
        pytest.param(any_of(), "0 = 1", id="none of nothing holds"),
        pytest.param(all_of(), "1 = 1", id="all of nothing holds"),
        pytest.param(where(), "", id="no keyword asks nothing"),
        pytest.param(not_(), "0 = 1", id="not nothing"),
        pytest.param(not_(any_of()), "1 = 1", id="not any of nothing"),
    ],
)
def test_an_empty_group_is_as_in_logic(group: Filter, text: str) -> None:
    """An empty any_of, perhaps of a loop that found nothing, matches no row instead of all."""
    assert sql("sqlite", group) == text


def test_conditions_are_counted_at_every_depth() -> None:
    """An expression is one, however long."""
    group = any_of(where(a=1, b=2), not_(all_of(where(c=3), col(Player.shirt) > 1)))
    assert count_conditions([group, where(d=4)]) == 5
