"""What a cursor keeps, what it hides, and what is refused."""

import subprocess
import sys
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from math import inf, nan
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqlmodelkit.cursors import MAX_CURSOR, Place, Seal, fingerprint
from sqlmodelkit.errors import ConfigError, CursorError

SEAL = Seal(b"one secret")
BOUND = b"heroes by name"

VALUES: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(),
    st.binary(),
    st.decimals(allow_nan=False),
    st.datetimes().map(lambda moment: moment.replace(fold=0)),
    st.datetimes(timezones=st.just(UTC)).map(lambda moment: moment.replace(fold=0)),
    st.dates(),
    st.times().map(lambda moment: moment.replace(fold=0)),
    st.timedeltas(),
    st.uuids(),
)


@given(st.lists(VALUES, max_size=5), st.booleans(), st.booleans())
def test_a_place_comes_back_as_it_was(values: list[Any], backward: bool, inclusive: bool) -> None:
    """Value by value, with its type and every digit."""
    place = Place(tuple(values), backward, inclusive)
    opened = SEAL.open(SEAL.close(place, BOUND), BOUND)
    assert place == opened
    assert [type(value) for value in values] == [type(value) for value in opened.values]
    assert repr(place) == repr(opened)


def test_a_place_without_a_number_comes_back() -> None:
    """Not a number, both infinities, and another offset than UTC."""
    moment = datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=5, minutes=45)))
    values = (nan, inf, -inf, -0.0, Decimal("1E+3"), Decimal("1.500"), moment, 'é\n"\\', b"\x00")
    assert repr(values) == repr(SEAL.open(SEAL.close(Place(values), BOUND), BOUND).values)


def test_the_same_place_has_the_same_cursor() -> None:
    """So the same page has the same ETag, whichever process answers."""
    assert SEAL.close(Place((1,)), BOUND) == Seal(b"one secret").close(Place((1,)), BOUND)
    assert SEAL.close(Place((1,)), BOUND) != SEAL.close(Place((2,)), BOUND)
    assert SEAL.close(Place((1,)), BOUND) != SEAL.close(Place((1,), backward=True), BOUND)


def test_a_cursor_shows_nothing_of_its_values() -> None:
    """Neither what they are nor, within 32 bytes, how long; and it needs no escapes."""
    cursor = SEAL.close(Place(("Diana Prince",)), BOUND)
    assert b"Diana" not in urlsafe_b64decode(cursor + "==")
    assert len(cursor) == len(SEAL.close(Place(("D",)), BOUND))
    assert cursor.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize("bound", [b"", b"heroes by", b"heroes by name ", b"villains by name"])
def test_a_cursor_is_good_for_its_own_list_only(bound: bytes) -> None:
    """That of another one is refused like a forged one."""
    with pytest.raises(CursorError) as caught:
        SEAL.open(SEAL.close(Place(("Diana",)), BOUND), bound)
    assert ("cursor",) == caught.value.fields
    assert "Diana" not in str(caught.value)


def test_another_secret_opens_nothing() -> None:
    """Nobody makes cursors without it."""
    with pytest.raises(CursorError):
        Seal(b"another secret").open(SEAL.close(Place((1,)), BOUND), BOUND)


def test_every_bit_counts() -> None:
    """A cursor with any bit changed, cut off or added is refused."""
    sealed = urlsafe_b64decode(SEAL.close(Place(("Diana", 7)), BOUND) + "==")
    changed = [
        bytes([*sealed[:number], sealed[number] ^ (1 << bit), *sealed[number + 1 :]])
        for number in range(len(sealed))
        for bit in range(8)
    ]
    for wrong in (
        *changed,
        sealed[:-1],
        sealed[:17],
        sealed[:1],
        sealed + b"\x00",
        sealed + sealed,
    ):
        with pytest.raises(CursorError):
            SEAL.open(urlsafe_b64encode(wrong).rstrip(b"=").decode(), BOUND)


@pytest.mark.parametrize(
    "wrong", ["", "x", "=", "é", "\x00", "null", "../..", "A" * MAX_CURSOR, "A" * (MAX_CURSOR + 1)]
)
def test_what_is_no_cursor_is_refused(wrong: str) -> None:
    """Whatever a client sends."""
    with pytest.raises(CursorError, match="The cursor does not belong to this list"):
        SEAL.open(wrong, BOUND)


def test_a_place_has_one_cursor_only() -> None:
    """What base64 would overlook is refused too."""
    cursor = SEAL.close(Place((1,)), BOUND)
    for wrong in (f"{cursor}=", f" {cursor}", f"{cursor}\n", f"{cursor[:4]}!{cursor[4:]}"):
        with pytest.raises(CursorError):
            SEAL.open(wrong, BOUND)


def test_a_value_of_another_kind_is_refused() -> None:
    """It could come back as another one."""
    with pytest.raises(ConfigError, match="A value of the type list cannot stand in a cursor"):
        SEAL.close(Place(([1],)), BOUND)


class Rank(Enum):
    """A value with a name."""

    FIRST = "first"


class Shown:
    """A value that says what it is."""

    def __repr__(self) -> str:
        return "Shown"


PARTS: tuple[Any, ...] = (
    None, True, 1, "1", 1.0, Decimal(1), "x", b"x", (), ("x",), ("x", "y"), (("x",), "y"),
    {}, {"x": 1}, {"x": 2}, {"y": 1}, date(2026, 1, 1), datetime(2026, 1, 1, tzinfo=UTC), time(1),
    UUID(int=1), Rank.FIRST, "FIRST", Shown(), frozenset({"x", "y", "z"}),
)  # fmt: skip


def test_fingerprints_tell_parts_apart() -> None:
    """By type and value, and by where they stand."""
    assert len(PARTS) == len({fingerprint(part) for part in PARTS})
    assert fingerprint("x", "y") != fingerprint("y", "x")
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})


def test_fingerprints_are_the_same_in_every_process() -> None:
    """Whatever the seed of its hashes."""
    program = "from tests.test_cursors import PARTS, fingerprint; print(fingerprint(*PARTS).hex())"
    found = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in "123"
    }
    assert {f"{fingerprint(*PARTS).hex()}\n".encode()} == found


def test_what_has_nothing_to_tell_it_by_has_no_fingerprint() -> None:
    """Its address would be another one in the next process."""
    with pytest.raises(ConfigError, match="A cursor cannot be bound to a value of the type object"):
        fingerprint(object())
