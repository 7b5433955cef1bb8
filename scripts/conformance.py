"""Writes docs/conformance.md from the tests: `python -m scripts.conformance`."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any

import tests.conformance
from tests.conformance.elsewhere import ELSEWHERE
from tests.conformance.guarding import EVERY, FIXTURES, guards_of

from .environment import ROOT

PAGE = ROOT / "docs" / "conformance.md"
HEAD = """\
# Conformance

Recipes and libraries for async SQLModel lose data, answer too much or fail in ways that were found by reading and running them.
Each such defect is a test here that holds the right way round.
This page is made from the tests by `python -m scripts.conformance`; a test fails when it is stale.

"Recipes" are tutorials and agent skills; an engine is named when the test runs on it.
"""


def guarding_tests() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Return the tests that guard against something, with their modules, in order."""
    for module in pkgutil.iter_modules(tests.conformance.__path__):
        if module.name.startswith("test_"):
            loaded = importlib.import_module(f"tests.conformance.{module.name}")
            for name, test in inspect.getmembers(loaded, inspect.isfunction):
                if name.startswith("test_") and guards_of(test):
                    yield module.name, test


def render() -> str:
    """Return the page."""
    lines: list[str | None] = [HEAD]
    previous = None
    # By line, so that a table reads like its module.
    for module, test in sorted(guarding_tests(), key=_place):
        if module != previous:
            title = module.removeprefix("test_").replace("_", " ").capitalize()
            lines += ["" if previous else None, f"## {title}", ""]
            lines += ["| defect | seen in | test | engines |", "|---|---|---|---|"]
            previous = module
        link = f"[{_fact(test)}](../tests/conformance/{module}.py)"
        for guard in guards_of(test):
            lines.append(f"| {guard.defect} | {guard.seen_in} | {link} | {_engines(test)} |")
    lines += ["", "## Not of this layer", "", "| layer | defect |", "|---|---|"]
    lines += [f"| {layer} | {defect} |" for layer, found in ELSEWHERE.items() for defect in found]
    return "\n".join(line for line in lines if line is not None) + "\n"


def main() -> None:
    """Write the page."""
    PAGE.write_text(render())
    print(
        f"{PAGE.relative_to(ROOT)}: {sum(len(guards_of(t)) for _, t in guarding_tests())} defects"
    )


def _place(found: tuple[str, Callable[..., Any]]) -> tuple[str, int]:
    return found[0], found[1].__code__.co_firstlineno


def _fact(test: Callable[..., Any]) -> str:
    return test.__name__.removeprefix("test_").replace("_", " ")


def _engines(test: Callable[..., Any]) -> str:
    return ", ".join(EVERY) if FIXTURES & set(inspect.signature(test).parameters) else "none needed"


if __name__ == "__main__":
    main()
