"""How many statements a request takes, as the database sees them.

On PostgreSQL a proxy between application and server reads the protocol: simple queries and
executions are statements, BEGIN, ROLLBACK and pings included; a simple query, a Sync and a Flush each
wait for the server, so each is a round trip. On SQLite the library's trace counts statements.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy.engine import make_url

from .client import ask
from .contenders import COUNT_PATH, TRACED, Contender
from .endpoints import Endpoint, Request, load_requests
from .processes import Application, Layout
from .stores import Store

REQUESTS = 40

_SSL_REQUEST, _GSS_REQUEST = 80877103, 80877104


@dataclass
class Count:
    """Statements, and round trips to the server where there are any."""

    statements: float = 0
    round_trips: float = 0

    def since(self, before: "Count", requests: int) -> "Count":
        """Return what was added after `before`, for each request."""
        return Count(
            (self.statements - before.statements) / requests,
            (self.round_trips - before.round_trips) / requests,
        )


async def count_statements(
    contender: Contender, store: Store, endpoints: Sequence[Endpoint], connections: int
) -> dict[str, Count]:
    """Return the count of each endpoint: the mean of requests one after the other, when warm."""
    environment = {"BENCHMARK_CONNECTIONS": str(connections)}
    cpus = Layout.of_this_machine().application
    if store.engine == "sqlite":
        environment |= {"BENCHMARK_URL": store.url, "BENCHMARK_TRACED": contender.module}
        application = Application(TRACED, environment, cpus)
        return await _count(contender, application, endpoints, None)
    async with _proxy(store.url) as (url, count):
        application = Application(contender.module, environment | {"BENCHMARK_URL": url}, cpus)
        return await _count(contender, application, endpoints, count)


async def _count(
    contender: Contender,
    application: Application,
    endpoints: Sequence[Endpoint],
    proxied: Count | None,
) -> dict[str, Count]:
    async def so_far() -> Count:
        if proxied is not None:
            return Count(proxied.statements, proxied.round_trips)
        return Count(await ask(application.port, Request("GET", COUNT_PATH)))

    counts: dict[str, Count] = {}
    await application.ready()
    try:
        for endpoint in endpoints:
            requests = load_requests(endpoint, contender.path(endpoint))
            warm, counted = (requests * REQUESTS)[:REQUESTS], (requests * REQUESTS)[-REQUESTS:]
            for request in warm:
                await ask(application.port, request)
            await application.idle()
            before = await so_far()
            for request in counted:
                await ask(application.port, request)
            # Some commit, or roll back, after the answer.
            await application.idle()
            counts[endpoint.name] = (await so_far()).since(before, REQUESTS)
    finally:
        application.stop()
    return counts


@asynccontextmanager
async def _proxy(url: str) -> AsyncIterator[tuple[str, Count]]:
    """Serve the database at another port; give its address there, and the running count."""
    address = make_url(url)
    count = Count()

    async def serve(client: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        server, upstream = await asyncio.open_connection(
            address.host or "127.0.0.1", address.port or 5432
        )
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_copy(server, answer))
            tasks.create_task(_read(client, answer, upstream, count))

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    async with listener:
        proxied = address.set(host="127.0.0.1", port=port)
        yield proxied.render_as_string(hide_password=False), count


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    target.close()


async def _read(
    client: asyncio.StreamReader,
    answer: asyncio.StreamWriter,
    upstream: asyncio.StreamWriter,
    count: Count,
) -> None:
    """Pass on what the client sends, message by message, and count."""
    # Whoever hangs up has nothing more to count.
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        while True:
            head = await client.readexactly(8)
            if int.from_bytes(head[4:]) not in (_SSL_REQUEST, _GSS_REQUEST):
                break
            answer.write(b"N")
        upstream.write(head + await client.readexactly(int.from_bytes(head[:4]) - 8))
        while True:
            kind = await client.readexactly(1)
            length = await client.readexactly(4)
            body = await client.readexactly(int.from_bytes(length) - 4)
            upstream.write(kind + length + body)
            count.statements += kind in (b"Q", b"E")
            count.round_trips += kind in (b"Q", b"S", b"H")
    upstream.close()
