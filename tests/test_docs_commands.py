"""The command line is told as it is: by its own help, and by commands that the guide runs."""

import pytest

from scripts.commands import PAGE, commands, help_of, render, shown

EVERY = list(commands())
WITHOUT_JSON = {"db shell"}


def test_the_reference_is_what_the_commands_say() -> None:
    """Otherwise `python -m scripts.commands` makes it anew."""
    assert PAGE.read_text() == render()


@pytest.mark.parametrize("words", EVERY)
def test_a_command_is_run_by_the_guide(words: str) -> None:
    """A console block of some page calls it, and shows what it says."""
    assert shown()[words]


@pytest.mark.parametrize("words", EVERY)
def test_help_has_examples_and_a_word_for_each_option(words: str) -> None:
    """As a person would type them."""
    said = help_of(words)
    assert f"  Examples:\n    sqlmodelkit {words}" in said
    bare = [param.name for param in commands()[words].params if not getattr(param, "help", None)]
    assert [] == [name for name in bare if name != "help"]


@pytest.mark.parametrize("words", EVERY)
def test_what_is_found_is_told_to_programs(words: str) -> None:
    """In JSON."""
    assert ("--json" in help_of(words)) == (words not in WITHOUT_JSON)
