"""How commands talk: text or JSON on stdout, colours on a terminal only, errors on stderr.

Start at `show`. `NO_COLOR` is kept by rich itself.
"""

import json
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Annotated, Any, TextIO

import typer
from rich.console import Console, RenderableType

from sqlmodelkit import SQLModelKitError

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
"""The option that every command has which tells something."""


@dataclass(slots=True)
class Reply:
    """What a program gets on stdout: one JSON document, whatever happens.

    Attributes:
        out: Where it goes.
        is_given: Whether it has been given.
    """

    out: TextIO
    is_given: bool = False

    def give(self, data: Any) -> None:
        """Print what was found."""
        self.is_given = True
        self.out.write(json.dumps(data, indent=2, default=str) + "\n")

    def fail(self, message: str, *, hint: str | None = None, kind: str) -> None:
        """Print what failed, where nothing has been printed that says so."""
        if not self.is_given:
            self.give({"error": message, "hint": hint, "type": kind})


@contextmanager
def remarking() -> Iterator[None]:
    """Tell what libraries warn of in a line on stderr, once each, without their source."""
    told: set[str] = set()

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        text = str(message)
        if text not in told:
            told.add(text)
            sys.stderr.write(f"Warning: {text}\n")

    with warnings.catch_warnings():
        # The documented way to have them shown otherwise; it ends with the block.
        warnings.showwarning = show
        yield


_reply: ContextVar[Reply | None] = ContextVar("reply", default=None)


@contextmanager
def replying() -> Iterator[Reply]:
    """Keep stdout for one JSON document: what the application prints meanwhile goes to stderr."""
    reply = Reply(sys.stdout)
    token = _reply.set(reply)
    try:
        with redirect_stdout(sys.stderr):
            yield reply
    finally:
        _reply.reset(token)


def examples(*lines: str) -> str:
    """Return the end of a command's help: calls as a person would write them."""
    # The control character keeps the lines as they are.
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])


def show(text: RenderableType, *, data: Any, as_json: bool) -> None:
    """Print what a command found.

    Args:
        text: For people: a text, or something of rich's such as a table.
        data: For programs.
        as_json: Whether a program asked.
    """
    if as_json:
        (_reply.get() or Reply(sys.stdout)).give(data)
    elif isinstance(text, str):
        sys.stdout.write(text + "\n")
    else:
        console().print(text)


def console() -> Console:
    """Return rich's console on stdout: colours on a terminal, plain lines elsewhere."""
    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())


def complain(error: SQLModelKitError) -> None:
    """Say on stderr what failed, and what to do about it."""
    if sys.stderr.isatty():
        screen = Console(stderr=True, highlight=False)
        screen.print(error.message, style="bold red", markup=False)
        if error.hint:
            screen.print(error.hint, markup=False)
    else:
        sys.stderr.write(f"{error}\n")
