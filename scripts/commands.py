"""Writes docs/reference/commands.md from the commands themselves: `python -m scripts.commands`."""

import contextlib
import io
import os
import re
import shlex
from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from sqlmodelkit.cli import app, main
from tests.docs_runner import read_blocks

from .environment import ROOT

PAGE = ROOT / "docs" / "reference" / "commands.md"
GUIDE = ROOT / "docs" / "guide"
NAME = "sqlmodelkit"
HEAD = """\
# Commands

What `--help` says of each command.
This page is made by `python -m scripts.commands`, which `make docs` runs; a test fails when it is stale.

The status is 0 when a command has done its work, 1 when something failed or is not as it should be, and 2 when the call itself is wrong.
Failures are told on stderr.
With `--json` stdout is one JSON document for programs, and nothing else: what was found, or `error`, `hint` and `type` of what failed.
There are colours on a terminal only, and none with `NO_COLOR`.
"""


def commands() -> dict[str, Any]:
    """Return every command by its words, as `db upgrade`, in the order of the help."""
    return dict(_below(get_command(app), ""))


def _below(group: Any, words: str) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        path = f"{words} {name}".strip()
        if hasattr(command, "commands"):
            yield from _below(command, path)
        else:
            yield path, command


def help_of(words: str) -> str:
    """Return what a command says of itself where nobody looks at it on a terminal."""
    said = io.StringIO()
    columns = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "80"
    try:
        with contextlib.redirect_stdout(said):
            main([*words.split(), "--help"])
    finally:
        del os.environ["COLUMNS"]
        if columns is not None:
            os.environ["COLUMNS"] = columns
    return "\n".join(line.rstrip() for line in said.getvalue().strip().splitlines())


def shown() -> dict[str, list[str]]:
    """Return the pages of the guide that run each command, and print what it says."""
    pages: dict[str, list[str]] = {words: [] for words in commands()}
    for page in sorted(GUIDE.glob("*.md")):
        for called in _calls(page.name):
            if page.name not in pages[called]:
                pages[called].append(page.name)
    return pages


def _calls(page: str) -> Iterator[str]:
    known = commands()
    for block in read_blocks(GUIDE / page):
        parts = re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]
        for call, _, said in (part.partition("\n") for part in parts):
            words = shlex.split(call.rpartition("| ")[2])
            if block.info != "console" or words[0] != NAME or "--help" in words or not said.strip():
                continue
            found = next((w for w in (" ".join(words[1:3]), words[1]) if w in known), None)
            if found:
                yield found


def render() -> str:
    """Return the page."""
    pages = shown()
    lines = [HEAD, "| command | what it does | shown in |", "|---|---|---|"]
    for words, command in commands().items():
        links = ", ".join(f"[{_title(page)}](../guide/{page})" for page in pages[words])
        anchor = f"{NAME}-{words.replace(' ', '-')}"
        does = command.get_short_help_str(200).removesuffix(".")
        lines.append(f"| [`{words}`](#{anchor}) | {does} | {links} |")
    for words in commands():
        lines += ["", f"## {NAME} {words}", "", "```text", help_of(words), "```"]
    return "\n".join(lines) + "\n"


def _title(page: str) -> str:
    return (GUIDE / page).read_text().splitlines()[0].lstrip("# ")


def write() -> None:
    """Write the page."""
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(render())
    print(f"{PAGE.relative_to(ROOT)}: {len(commands())} commands")


if __name__ == "__main__":
    write()
