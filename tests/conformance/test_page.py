"""The page is what the tests say."""

import inspect
from collections import Counter

import pytest

from scripts.conformance import PAGE, guarding_tests, render
from tests.conformance.guarding import FIXTURES, guards_of


def test_the_page_is_fresh() -> None:
    """Mend it with `python -m scripts.conformance`."""
    assert render() == PAGE.read_text()


def test_a_defect_is_told_once() -> None:
    """Two tests of the same defect would be one test too many."""
    told = Counter(guard.defect for _, test in guarding_tests() for guard in guards_of(test))
    assert [defect for defect, number in told.items() if number > 1] == []


def test_engines_are_told_as_they_are(request: pytest.FixtureRequest) -> None:
    """A test that the page calls free of databases asks for no fixture that needs one."""
    wrong = {
        item.name
        for item in request.session.items
        if isinstance(item, pytest.Function)
        and guards_of(item.function)
        and "engine_name" in item.fixturenames
        and not FIXTURES & set(inspect.signature(item.function).parameters)
    }
    assert set() == wrong
