"""How many connections a pool needs, and why. Ring 11.

Start at `advise`, which only reckons; `server_limit` asks the server how many it allows.
"""

from dataclasses import dataclass
from math import ceil, floor, isfinite

from sqlalchemy import text

from .database import Database
from .errors import ConfigError

RARE = 0.01
"""The share of requests that may have to wait for a connection."""

_MOST_BUSY = 100_000
_SPARE_CONNECTIONS = 10
"""Left free for migrations, backups, monitoring and people."""


@dataclass(frozen=True, slots=True)
class Advice:
    """What to set, and how it was reckoned.

    Attributes:
        pool_size: Connections that each worker keeps open.
        max_overflow: Connections that each worker may open for a moment.
        total: The most connections of all workers together.
        usable: The connections that the server leaves to the application.
        busy: How many connections are at work on average, in all workers.
        utilisation: The share of the pools that is at work on average.
        fits: Whether the server allows what the load needs.
        reasons: The steps of the reckoning, one sentence each.
    """

    pool_size: int
    max_overflow: int
    total: int
    usable: int
    busy: float
    utilisation: float
    fits: bool
    reasons: tuple[str, ...]


def advise(
    *,
    rps: float,
    latency_ms: float,
    workers: int,
    server_limit: int = 100,
    headroom: float = 0.3,
) -> Advice:
    """Say how large the pool of each worker should be.

    Args:
        rps: Requests per second at the busiest hour, of all workers together.
        latency_ms: How long a request holds a connection, in milliseconds.
        workers: Processes that serve the application, on all machines.
        server_limit: How many connections the server allows.
        headroom: By how much the load may grow; 0.3 is 30 %.

    Raises:
        ConfigError: A number makes no sense.
    """
    _check(rps=rps, latency_ms=latency_ms, workers=workers, server_limit=server_limit)
    if headroom < 0 or not isfinite(headroom):
        raise ConfigError(f"headroom is {headroom:g}.", hint="It is 0 or more; 0.3 is 30 %.")
    busy = rps * latency_ms / 1000
    planned = busy * (1 + headroom)
    if planned > _MOST_BUSY:
        raise ConfigError(
            f"{rps:g} requests/s of {latency_ms:g} ms keep {planned:.3g} connections busy.",
            hint="No server has so many; look at the units: latency is in milliseconds.",
        )
    size = servers_for(planned / workers)
    usable = max(0, server_limit - min(_SPARE_CONNECTIONS, server_limit // 5))
    share = floor(usable / workers)
    fits = size <= share
    kept = min(size, max(share, 1))
    overflow = min(max(2, ceil(kept / 2)), max(share - kept, 0))
    total = (kept + overflow) * workers
    reasons = (
        (
            f"Busy on average: {rps:g} requests/s x {latency_ms:g} ms = {busy:.3g} connections "
            "(Little's law)."
        ),
        (
            f"With {headroom:.0%} headroom: {planned:.3g}, on {workers} worker(s) "
            f"{planned / workers:.3g} each."
        ),
        (
            f"So that fewer than {RARE:.0%} of the requests wait for a connection (Erlang C): "
            f"{size} per worker."
        ),
        (
            f"The server allows {server_limit}; {usable} are left after those kept for migrations, "
            f"backups and people: {share} per worker."
        ),
        _verdict(fits=fits, size=size, share=share, total=total, usable=usable),
    )
    return Advice(kept, overflow, total, usable, busy, busy / (kept * workers), fits, reasons)


def _verdict(*, fits: bool, size: int, share: int, total: int, usable: int) -> str:
    if fits:
        return f"It fits: at most {total} of {usable} connections are open."
    return (
        f"It does not fit: each worker needs {size} and may have {share}. Hold connections for a "
        "shorter time, run fewer workers, put PgBouncer or ProxySQL between, or raise the "
        "server's limit."
    )


def _check(**numbers: float) -> None:
    for name, number in numbers.items():
        if number <= 0 or not isfinite(number):
            raise ConfigError(f"{name} is {number:g}.", hint="It has to be more than 0.")


def servers_for(load: float) -> int:
    """Return the fewest connections with which a request rarely waits, by Erlang's formula C.

    Args:
        load: How many connections are busy on average.
    """
    count, blocked = 0, 1.0
    while True:
        count += 1
        blocked = load * blocked / (count + load * blocked)
        if count > load:
            waiting = blocked / (1 - (load / count) * (1 - blocked))
            if waiting <= RARE:
                return count


async def server_limit(db: Database) -> int | None:
    """Return how many connections the server allows us; None where nothing limits them (SQLite).

    Raises:
        Unavailable: The server does not answer.
    """
    dialect = db.engine.dialect.name
    if dialect == "sqlite":
        return None
    # A user may have a limit of its own; 0 is none.
    asked = "SELECT LEAST(@@max_connections, COALESCE(NULLIF(@@max_user_connections, 0), 1000000))"
    if dialect == "postgresql":
        # Some are kept for superusers; a role or a database may have a limit of its own.
        asked = (
            "SELECT least("
            "current_setting('max_connections')::int"
            " - current_setting('superuser_reserved_connections')::int"
            " - coalesce(current_setting('reserved_connections', true)::int, 0),"
            " (SELECT nullif(rolconnlimit, -1) FROM pg_roles WHERE rolname = current_user),"
            " (SELECT nullif(datconnlimit, -1) FROM pg_database"
            " WHERE datname = current_database()))"
        )
    async with db.session() as session:
        connection = await session.connection()
        return int(await connection.scalar(text(asked)) or 0)
