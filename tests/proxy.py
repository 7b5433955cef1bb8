"""A way to a database server that can be cut at a chosen moment.

`async with Proxy.before(url) as proxy:` gives one whose `url` leads through it. Start at `cut`.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Literal, Self

from sqlalchemy.engine import make_url

Moment = Literal["sent", "answered", "silent"]
"""What happens to what holds the words: it is not passed on, its answer is not, or nothing is."""

_BYTES = 65536


class Proxy:
    """Passes on what clients and server say, until the client says certain words."""

    def __init__(self, url: str) -> None:
        self._server_url = make_url(url)
        self._words = b""
        self._moment: Moment = "sent"
        self._ways: set[asyncio.Task[None]] = set()
        self.port = 0
        self.cuts = 0

    @classmethod
    @asynccontextmanager
    async def before(cls, url: str) -> AsyncIterator[Self]:
        """Stand before the server of a database while the block runs."""
        proxy = cls(url)
        server = await asyncio.start_server(proxy._accept, "127.0.0.1")
        proxy.port = server.sockets[0].getsockname()[1]
        try:
            yield proxy
        finally:
            server.close()
            for way in proxy._ways:
                way.cancel()
            await asyncio.gather(*proxy._ways, return_exceptions=True)

    @property
    def url(self) -> str:
        """The address of the database by way of this proxy."""
        here = self._server_url.set(host="127.0.0.1", port=self.port)
        return here.render_as_string(hide_password=False)

    def cut(self, words: bytes, moment: Moment) -> None:
        """End the next connection that says these words, at this moment; only the first one."""
        self._words, self._moment = words, moment

    async def _accept(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        way = asyncio.current_task()
        assert way is not None
        self._ways.add(way)
        url = self._server_url
        server, to_server = await asyncio.open_connection(url.host, url.port)
        answers = asyncio.create_task(self._pass_on(server, to_client))
        try:
            while data := await client.read(_BYTES):
                if self._words and self._words in data:
                    self._words = b""
                    self.cuts += 1
                    answers.cancel()
                    await asyncio.wait([answers])
                    if self._moment == "answered":
                        to_server.write(data)
                        await server.read(_BYTES)
                    elif self._moment == "silent":
                        await client.read()
                    break
                to_server.write(data)
        finally:
            answers.cancel()
            for writer in (to_client, to_server):
                writer.transport.abort()
            self._ways.discard(way)

    async def _pass_on(self, server: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await server.read(_BYTES):
                to_client.write(data)
        to_client.transport.abort()
