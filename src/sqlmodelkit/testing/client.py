"""Requests to an application without a server, in the event loop of the test.

Start at `client_of`. It needs `httpx2`, which is FastAPI's own choice for tests.
"""

import asyncio
from typing import Any

import httpx2
from fastapi import FastAPI

Message = dict[str, Any]


class Life:
    """An application whose lifespan begins with its first request and ends with `close`.

    An async fixture of the test may send requests, so it begins there rather than with the test.
    """

    def __init__(self, app: FastAPI) -> None:
        """Prepare; nothing runs yet."""
        self._app = app
        self._state: dict[str, Any] = {}
        self._begun: asyncio.Future[None] | None = None
        self._ending = asyncio.Event()
        self._living: asyncio.Task[None] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve a request."""
        await self.begin()
        scope["state"] = dict(self._state)
        await self._app(scope, receive, send)

    async def begin(self) -> None:
        """Run what the application does as it starts, once."""
        if self._begun is None:
            self._begun = asyncio.get_running_loop().create_future()
            # In a task of its own: what it opens must be closed in the task that opened it.
            self._living = asyncio.create_task(self._live(self._begun))
        await asyncio.shield(self._begun)

    async def _live(self, begun: asyncio.Future[None]) -> None:
        try:
            async with self._app.router.lifespan_context(self._app) as state:
                self._state = dict(state or {})
                begun.set_result(None)
                await self._ending.wait()
        except BaseException as error:
            if begun.done():
                raise
            begun.set_exception(error)

    async def close(self) -> None:
        """Run what the application does as it ends."""
        self._ending.set()
        if self._living is not None:
            await self._living


def client_of(life: Life) -> httpx2.AsyncClient:
    """Return a client whose requests the application answers.

    What an endpoint raises comes out of the request: a relation that was not loaded is `NotLoaded`
    in the test, not a 500 that the test might take for right.
    """
    transport = httpx2.ASGITransport(life, raise_app_exceptions=True)
    return httpx2.AsyncClient(transport=transport, base_url="http://test")
