"""What the filter grammar refuses, and what it says then."""

import re
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy.dialects.sqlite import aiosqlite
from sqlmodel import SQLModel

from sqlmodelkit.columns import columns_of, relations_of
from sqlmodelkit.errors import FilterError
from sqlmodelkit.filters import (
    ALIASES,
    MAX_CONDITIONS,
    MAX_ITEMS,
    OPERATORS,
    any_of,
    compile_filters,
    count_conditions,
    not_,
    where,
)
from tests.tables import Club, Player

TEXT_OPERATORS = [name for name, operator in OPERATORS.items() if operator.takes == "text"]


def refused(name: str, value: Any, dialect: str = "postgresql") -> FilterError:
    """Return the refusal of a condition on players."""
    with pytest.raises(FilterError) as caught:
        compile_filters(Player, conditions={name: value}, dialect=dialect)
    return caught.value


@pytest.mark.parametrize("name", ["nickname", "nickname__gte", "_name", "Name", "name_", ""])
def test_an_unknown_field_is_refused_with_those_there_are(name: str) -> None:
    """A typo must not widen the answer."""
    error = refused(name, "x")
    assert error.message.startswith("Player has no field ")
    assert f"({name})" in error.message
    assert error.hint == (
        f"Fields are {', '.join(columns_of(Player))}, club__..., masteries__..., skills__...."
    )
    assert error.fields == (name,)


@pytest.mark.parametrize("name", ["name__", "name__equals", "name__EQ", "name__not", "name__in_"])
def test_an_unknown_operator_is_refused_with_those_there_are(name: str) -> None:
    """The message names the operator and lists the others."""
    error = refused(name, "x")
    assert error.message == f"{name}: there is no operator {name.partition('__')[2]!r}."
    assert error.hint == f"Operators are {', '.join(OPERATORS)}."
    assert error.fields == (name,)


@pytest.mark.parametrize(
    "name", ["club__nothing", "club__parent__nothing__like", "club__", "club__is"]
)
def test_an_unknown_field_behind_a_relation_is_named_by_its_whole_path(name: str) -> None:
    """The error names what the caller wrote, and the fields of the related model."""
    error = refused(name, "x")
    assert error.message.startswith("Club has no field ")
    assert error.fields == (name,)
    assert f"({name})" in error.message


def test_a_relation_cannot_be_compared_itself() -> None:
    """The message shows how to compare a field of it."""
    error = refused("club", "x")
    assert error.message == "club is a relation of Player."
    assert error.hint == "Compare one of its fields, as in club__id."


def test_a_relation_of_a_relation_cannot_be_compared_either() -> None:
    """The hint is a path that works."""
    error = refused("club__parent", "x")
    assert error.fields == ("club__parent",)
    assert error.hint == "Compare one of its fields, as in club__parent__id."


@pytest.mark.parametrize(
    "name", ["title", "metadata", "__class__", "model_fields", "club_id__eq__eq"]
)
def test_only_columns_are_fields(name: str) -> None:
    """Neither properties nor attributes of the class can be reached."""
    with pytest.raises(FilterError):
        compile_filters(Club, conditions={name: 1})


WRONG: list[tuple[str, Any, str]] = [
    ("shirt", "seven", "'seven' does not fit: Input should be a valid integer"),
    ("shirt", 40_000, "40000 does not fit: it must be between -32768 and 32767."),
    ("shirt__in", [1, 2**70], "it must be between -32768 and 32767."),
    ("shirt__in", "12", "'12' does not fit: a list of values."),
    ("shirt__in", b"12", "a list of values."),
    ("shirt__in", {1: 2}, "a list of values."),
    ("shirt__in", 5, "5 does not fit: a list of values."),
    ("shirt__not_in", iter([1]), "a list of values."),
    ("shirt__in", [1, None], "NULL is neither less, greater nor in a list."),
    ("shirt__between", [1, None], "NULL is neither less, greater nor in a list."),
    ("shirt__between", [1], "[1] does not fit: two values, the least and the greatest."),
    ("shirt__between", [1, 2, 3], "two values, the least and the greatest."),
    ("shirt__between", [], "two values, the least and the greatest."),
    ("shirt__between", [9, 1], "the first value is greater than the second."),
    ("shirt__between", 1, "a list of values."),
    ("shirt__gt", None, "NULL is neither less, greater nor in a list."),
    ("shirt__lte", None, "NULL is neither less, greater nor in a list."),
    ("score__is", "null", "'null' does not fit: null."),
    ("score__is_not", 0, "0 does not fit: null."),
    ("score", float("nan"), "it must be a finite number."),
    ("score__gt", "inf", "it must be a finite number."),
    ("level", "JUNIOR", "Input should be 'junior' or 'senior'."),
    ("name", 5, "5 does not fit: Input should be a valid string."),
    ("name", "a\x00", "text cannot have the character NUL."),
    ("name", "\ud800", "does not fit"),
    ("name__contains", "a\x00", "text cannot have the character NUL."),
    ("name__contains", "\ud800", "does not fit"),
    ("name__like", 5, "5 does not fit: a text"),
    ("name__ilike", None, "None does not fit: a text"),
    ("club__is_open__is", "true", "'true' does not fit: null, true or false."),
    ("signed_at", datetime(2026, 1, 31), "the time needs its offset from UTC"),  # noqa: DTZ001
    ("signed_at__gt", "2026-01-31T12:00:00", "the time needs its offset from UTC"),
    ("club_id", "12", "Input should be a valid UUID"),
    ("club__founded", "31.1.2026", "Input should be a valid date"),
    ("club__budget", "a lot", "Input should be a valid decimal"),
    ("club__is_open", "perhaps", "Input should be a valid boolean"),
]


@pytest.mark.parametrize(("name", "value", "text"), WRONG)
def test_a_value_that_does_not_fit_is_refused_by_the_name_written(
    name: str, value: Any, text: str
) -> None:
    """The message says what was given and what is wanted; the name is the caller's own."""
    error = refused(name, value)
    assert text in error.message
    assert error.fields == (name,)
    assert error.message.startswith(f"{name}: ")


def test_an_alias_is_named_as_it_was_written() -> None:
    """The client sees its own parameter in the refusal."""
    assert refused("shirt__ge", "x").fields == ("shirt__ge",)


def test_a_refusal_does_not_repeat_a_long_value() -> None:
    """The message stays readable whatever was sent."""
    assert len(refused("shirt", "9" * 10_000).message) < 250


def test_a_text_longer_than_its_column_is_compared() -> None:
    """Nothing is stored, and no row matches: that is an answer, not an error."""
    assert compile_filters(Player, conditions={"name": "x" * 100})


@pytest.mark.parametrize("operator", TEXT_OPERATORS)
@pytest.mark.parametrize("field", ["shirt", "score", "level", "signed_at", "club_id"])
def test_only_text_is_compared_as_text(field: str, operator: str) -> None:
    """PostgreSQL refuses a pattern on other types, the others guess: we refuse it alike."""
    error = refused(f"{field}__{operator}", "1")
    assert error.fields == (f"{field}__{operator}",)


@pytest.mark.parametrize("operator", ["is", "is_not"])
@pytest.mark.parametrize("field", ["shirt", "score", "level", "name"])
def test_only_a_flag_is_true_or_false(field: str, operator: str) -> None:
    """PostgreSQL refuses `shirt IS TRUE`, the others take it for a number."""
    assert refused(f"{field}__{operator}", True).fields == (f"{field}__{operator}",)


@pytest.mark.parametrize("operator", ["gt", "gte", "lt", "lte"])
def test_an_enum_has_no_order(operator: str) -> None:
    """PostgreSQL orders by declaration, the others by name: no order is the same everywhere."""
    assert refused(f"level__{operator}", "junior").fields == (f"level__{operator}",)


def test_two_values_of_an_enum_have_no_between() -> None:
    """It is a refusal like the others, not an error of Python."""
    assert refused("level__between", ["junior", "senior"]).fields == ("level__between",)


@pytest.mark.parametrize(
    ("operator", "value"), [("eq", {"a": 1}), ("in", [{"a": 1}]), ("gt", {"a": 1}), ("like", "a")]
)
def test_json_is_only_compared_with_null(operator: str, value: Any) -> None:
    """PostgreSQL's json has no equality, MySQL's compares in its own way."""
    name = f"facts__{operator}"
    with pytest.raises(FilterError) as caught:
        compile_filters(Club, conditions={name: value})
    assert caught.value.fields == (name,)
    assert compile_filters(Club, conditions={"facts__is": None})


@pytest.mark.parametrize(
    "wrong", [True, False, None, "name = 'x'", Player, Player.name, {"name": "x"}]
)
def test_what_is_no_filter_is_refused(wrong: Any) -> None:
    """`Player.name is None` is False in Python: taken as a filter it would mean anything."""
    with pytest.raises(FilterError, match=r"is not a filter\. Pass field=value"):
        compile_filters(Player, wrong)
    with pytest.raises(FilterError, match="is not a filter"):
        compile_filters(Player, any_of(not_(wrong)))


def test_more_conditions_than_allowed_are_refused() -> None:
    """At every depth and in keywords together."""
    most = any_of(*[where(shirt=number) for number in range(MAX_CONDITIONS)])
    assert count_conditions([most]) == MAX_CONDITIONS
    compile_filters(Player, most)
    with pytest.raises(FilterError, match="more than 50 conditions"):
        compile_filters(Player, most, conditions={"name": "x"})


def test_a_longer_list_than_allowed_is_refused() -> None:
    """The longest is let through."""
    compile_filters(Player, conditions={"shirt__in": [1] * MAX_ITEMS})
    error = refused("shirt__in", [1] * (MAX_ITEMS + 1))
    assert error.message == "shirt__in has more than 500 values."


JUNK = st.sampled_from(["nothing", "", "_", "equals", "metadata", "club"])
ENDINGS = [*OPERATORS, *ALIASES]
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 2**40),
    st.floats(),
    st.text(max_size=5),
    st.datetimes(timezones=st.sampled_from([None, UTC])),
    st.uuids(),
    st.sampled_from(["junior", "1", "true", "2026-01-31"]),
    st.lists(st.one_of(st.integers(0, 9), st.text(max_size=3), st.none()), max_size=3),
    st.lists(st.sampled_from(["junior", "senior"]), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
)


@st.composite
def names(draw: st.DrawFn) -> str:
    """Make a name that may well be right: a path, a column and an operator, perhaps spoilt."""
    model: type[SQLModel] = Player
    parts: list[str] = []
    for _ in range(draw(st.integers(0, 4))):
        relation = draw(st.sampled_from(sorted(relations_of(model)) or ["none"]))
        parts.append(relation)
        if relation != "none":
            model = relations_of(model)[relation].mapper.class_
    parts.append(draw(st.sampled_from(list(columns_of(model)))))
    parts += draw(st.lists(st.sampled_from(ENDINGS), max_size=1))
    if draw(st.integers(0, 4)) == 0:
        parts[draw(st.integers(0, len(parts) - 1))] = draw(st.one_of(JUNK, st.text(max_size=5)))
    return "__".join(parts)


def where_of(*filters: Any, **conditions: Any) -> str:
    """Return the WHERE with placeholders, the tables' aliases without their numbers."""
    found = compile_filters(Player, *filters, conditions=conditions, dialect="sqlite")
    text = str(select(Player).where(*found).compile(dialect=aiosqlite.dialect()))
    return re.sub(r"_[0-9]+\b", "", text.partition("WHERE ")[2])


@settings(max_examples=300, deadline=None)
@given(conditions=st.dictionaries(names(), VALUES, min_size=1, max_size=3))
def test_no_condition_is_ever_dropped(conditions: dict[str, Any]) -> None:
    """Whatever the names and values: a refusal, or each condition is in the SQL."""
    try:
        whole = where_of(where(**conditions))
    except FilterError:
        return
    for name, value in conditions.items():
        if value == [] and name.endswith("in"):
            continue  # In no list at all: true or false, whatever the column.
        single = where_of(**{name: value})
        column = name.split("__")
        assert any(re.search(rf"\.{re.escape(part)}\b", single) for part in column[-2:])
        assert single in whole
