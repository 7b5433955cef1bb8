"""Checks that ask the server."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import text

from sqlmodelkit.database import Database
from sqlmodelkit.sizing import server_limit

from .findings import Seen, Subject

_PG_LOG = (
    "SELECT (SELECT setting::int FROM pg_settings WHERE name = 'log_min_duration_statement') >= 0"
    " OR EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'pg_stat_statements')"
)

_IDLE = {
    "postgresql": "SELECT setting::int / 1000 FROM pg_settings WHERE name = 'idle_session_timeout'"
}
"""After how many seconds a server closes an idle connection; 0 is never."""
_PG_LIMIT = "SELECT setting::int FROM pg_settings WHERE name = :name"
_PG_NAMES = {"idle_in_transaction_timeout": "idle_in_transaction_session_timeout"}


async def pool(subject: Subject) -> Seen:
    """Reckon whether all pools together stay within the server's limit."""
    settings, workers = subject.settings, subject.workers
    size, overflow = settings.pool_size, settings.max_overflow
    total = workers * (size + overflow)
    formula = f"{workers} worker(s) x ({size} + {overflow}) = {total} connections"
    db = Database(settings=settings)
    try:
        limit = await server_limit(db)
    finally:
        await db.close()
    if limit is None:
        return Seen(said=f"{formula}; SQLite has no limit")
    said = f"{formula} of {limit} that the server allows"
    if total <= limit * 0.9:
        return Seen(said=said)
    most = max(1, int(limit * 0.9) // workers)
    keep = max(1, min(size, most * 2 // 3))
    fix = (
        f"Set DB_POOL_SIZE={keep} and DB_MAX_OVERFLOW={most - keep}, or put PgBouncer between; "
        "`sqlmodelkit pool-size` reckons what the load needs."
    )
    return Seen(((f"{total} is more than 90 % of {limit}.", fix),), said=said)


async def recycle(subject: Subject) -> Seen:
    """Compare when the pool and when the server closes an idle connection."""
    recycled = subject.settings.pool_recycle
    if subject.engine == "sqlite":
        return Seen(said="SQLite closes none")
    waits = int(await _ask(subject, _IDLE.get(subject.engine, "SELECT @@wait_timeout")) or 0)
    if not waits:
        return Seen(said="this server closes none")
    said = f"the pool after {recycled} s, the server after {waits} s"
    if 0 < recycled < waits:
        return Seen(said=said)
    fix = f"Set DB_POOL_RECYCLE={max(1, waits // 2)}."
    return Seen((("The server closes connections before the pool does.", fix),), said=said)


async def timeouts(subject: Subject) -> Seen:
    """Look whether the server ends what takes too long."""
    settings = subject.settings
    limits = {
        "statement_timeout": settings.statement_timeout,
        "lock_timeout": settings.lock_timeout,
    }
    if subject.engine == "postgresql":
        limits["idle_in_transaction_timeout"] = settings.idle_in_transaction_timeout
    if subject.engine == "sqlite":
        del limits["statement_timeout"]
    if settings.pooler == "pgbouncer":
        return await _behind_pooler(subject, limits)
    problems = tuple(
        (f"{name} is 0: without limit.", f"Set DB_{name.upper()}=30 (seconds).")
        for name, seconds in limits.items()
        if not seconds
    )
    return Seen(problems, said=_told(limits))


async def _behind_pooler(subject: Subject, wanted: Mapping[str, float]) -> Seen:
    """Ask the server what it limits by itself: PgBouncer passes nothing on."""
    role = subject.settings.engine_url().username or "app"
    limits, problems = {}, []
    for name, seconds in wanted.items():
        known = _PG_NAMES.get(name, name)
        limits[name] = int(await _ask(subject, _PG_LIMIT, name=known) or 0) / 1000
        if not limits[name]:
            fix = f"""ALTER ROLE "{role}" SET {known} = '{seconds or 30:g}s'"""
            problems.append(
                (
                    f"PgBouncer passes no {name} on to the server, which has none.",
                    f"{fix}; then RECONNECT on PgBouncer's console.",
                )
            )
    return Seen(tuple(problems), said=_told(limits))


def _told(limits: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {seconds:g} s" for name, seconds in limits.items())


async def slow_log(subject: Subject) -> Seen:
    """Look whether slow statements are told of: by the server, or by a hook of the database."""
    if subject.db is not None and subject.db.hooks:
        return Seen(said=f"{len(subject.db.hooks)} hook(s) of the database")
    fix = "Write Database(hooks=[slow_log()]), with slow_log of sqlmodelkit"
    if subject.engine == "sqlite":
        return Seen((("No hook watches the statements.", f"{fix}."),))
    postgresql = subject.engine == "postgresql"
    asked = _PG_LOG if postgresql else "SELECT @@slow_query_log"
    if await _ask(subject, asked):
        return Seen(said="the server's own")
    theirs = (
        "ALTER SYSTEM SET log_min_duration_statement = '100ms'; SELECT pg_reload_conf()"
        if postgresql
        else "SET GLOBAL slow_query_log = ON, long_query_time = 0.1"
    )
    return Seen(
        (("Neither a hook nor the server tells of slow statements.", f"{fix}, or {theirs}."),)
    )


async def _ask(subject: Subject, question: str, **values: Any) -> Any:
    db = Database(settings=subject.settings)
    try:
        async with db.session() as session:
            connection = await session.connection()
            return await connection.scalar(text(question), values)
    finally:
        await db.close()
