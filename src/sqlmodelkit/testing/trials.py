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

    def keep(self, database: WatchedDatabase) -> None:
        """Close a database at the end."""
        self._databases.append(database)

    def keep_application(self, application: Closing) -> None:
        """Close an application at the end."""
        self._applications.append(application)

    def around(self, test: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        """Return an async test that closes everything in its own event loop."""

        @functools.wraps(test)
        async def whole(*arguments: Any, **options: Any) -> None:
            try:
                await test(*arguments, **options)
                mistakes = [text for db in self._databases for text in db.mistakes()]
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
