"""An interactive Python in which `await` works, with a project's database at hand. Ring 11.

Start at `run_shell`.
"""

import ast
import asyncio
import code
import inspect
import sys
import types
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from sqlalchemy import MetaData, text
from sqlalchemy.exc import DBAPIError
from sqlmodel import SQLModel, func, select

from .database import Database
from .errors import SQLModelKitError
from .models import is_mapped
from .service import ServiceBase
from .sessions import translating

_HINT = "Nothing is stored before `await session.commit()`."


class AsyncConsole(code.InteractiveConsole):
    """A console whose lines run in an event loop of another thread."""

    def __init__(self, names: dict[str, Any], loop: asyncio.AbstractEventLoop) -> None:
        """Prepare a console with these names."""
        super().__init__(names)
        self.names = names
        self.loop = loop
        self.compile.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT

    def runcode(self, code: types.CodeType) -> None:
        """Run a line in the loop, and show what went wrong."""
        done: Future[Any] = Future()
        self.loop.call_soon_threadsafe(self._begin, code, done)
        try:
            done.result()
        except SystemExit:
            raise
        except SQLModelKitError as error:
            self.write(f"{type(error).__name__}: {error}\n")
        except DBAPIError as error:
            self.write(f"{type(error.orig).__name__}: {error.orig}\n")
        except BaseException:  # noqa: BLE001 - the person sees it, and goes on
            self.showtraceback()

    def _begin(self, code: types.CodeType, done: Future[Any]) -> None:
        try:
            pending = types.FunctionType(code, self.names)()
        except BaseException as error:  # noqa: BLE001 - handed over to the thread that waits
            done.set_exception(error)
            return
        if not inspect.iscoroutine(pending):
            done.set_result(pending)
            return
        self.loop.create_task(_translated(pending)).add_done_callback(
            lambda task: _hand_over(task, done)
        )


async def _translated(pending: Coroutine[Any, Any, Any]) -> Any:
    with translating():
        return await pending


def _hand_over(task: asyncio.Task[Any], done: Future[Any]) -> None:
    if task.cancelled():
        done.set_exception(asyncio.CancelledError())
    elif error := task.exception():
        done.set_exception(error)
    else:
        done.set_result(task.result())


async def run_shell(db: Database, metadata: MetaData) -> None:
    """Read lines and run them until the input ends, in one session that commits nothing by itself.

    Args:
        db: The database.
        metadata: The tables whose models and services shall be at hand.

    Raises:
        Unavailable: The database does not answer.
    """
    server = await db.ping()
    async with db.session() as session:
        names = {"db": db, "session": session, "select": select, "func": func, "text": text}
        names |= {found.__name__: found for found in classes_of(metadata)}
        known = ", ".join(sorted(names))
        banner = f"{server.dialect} {server.version}. {_HINT}\nAt hand: {known}"
        console = AsyncConsole(names, asyncio.get_running_loop())
        prompt = getattr(sys, "ps1", ">>> ")
        sys.ps1 = prompt if sys.stdin.isatty() else ""
        sys.ps2 = "... " if sys.stdin.isatty() else ""
        await asyncio.to_thread(_interact, console, banner)


def _interact(console: AsyncConsole, banner: str) -> None:
    with suppress(SystemExit):  # `exit()` ends the console, and what is around it goes on
        console.interact(banner=banner, exitmsg="")


def classes_of(metadata: MetaData) -> Iterator[type[Any]]:
    """Yield the models of tables in `metadata`, and the services of these."""
    for model in _below(SQLModel):
        if model.metadata is metadata and is_mapped(model):
            yield model
    for service in _below(ServiceBase):
        if getattr(getattr(service, "model", None), "metadata", None) is metadata:
            yield service


def _below(parent: type[Any]) -> Iterator[type[Any]]:
    for child in parent.__subclasses__():
        yield child
        yield from _below(child)
