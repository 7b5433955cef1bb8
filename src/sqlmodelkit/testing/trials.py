"""What one test holds open, and how it is looked at and closed when the test ends.

Start at `Trial`.
"""

import functools
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from .watching import WatchedDatabase


class Closing(Protocol):
    """Something that has to be closed in the event loop in which it was used."""

    async def close(self) -> None:
        """Close it."""


class Trial:
    """The databases and applications of one test."""

    def __init__(self, *, watch: bool = True) -> None:
        """Prepare.

        Args:
            watch: Whether a test that passes is asked for what it left open or lost.
        """
        self._watch = watch
        self._databases: list[WatchedDatabase] = []
        self._applications: list[Closing] = []
        self._passed = False

    def keep(self, database: WatchedDatabase) -> None:
        """Close a database at the end."""
        self._databases.append(database)

    def keep_application(self, application: Closing) -> None:
        """Close an application at the end."""
        self._applications.append(application)

    def passed(self) -> None:
        """Note that the test has not failed: then it is asked for its mistakes."""
        self._passed = True

    def late(self, database: WatchedDatabase) -> list[str]:
        """Say what was left open or lost when the fixtures of the test are through, too."""
        return database.mistakes() if self._passed and self._watch else []

    def around(self, test: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """Return an async test that closes everything in its own event loop."""

        @functools.wraps(test)
        async def whole(*arguments: Any, **options: Any) -> None:
            # Its fixtures may hold sessions open, and close them after it.
            held = {mark for db in self._databases for mark in db.held}
            try:
                await test(*arguments, **options)
                mistakes = [text for db in self._databases for text in db.mistakes(apart_from=held)]
            finally:
                await self._close()
            if mistakes and self._watch:
                raise AssertionError("\n".join(mistakes))

        return whole

    async def _close(self) -> None:
        for application in reversed(self._applications):
            await application.close()
        for database in self._databases:
            await database.close()
