"""Checks of the settings."""

from importlib.util import find_spec

from .findings import Seen, Subject

_EXTRAS = {"asyncpg": "postgres", "asyncmy": "mysql", "aiomysql": "aiomysql"}


def driver(subject: Subject) -> Seen:
    """Look whether the driver is installed."""
    name = subject.settings.engine_url().get_driver_name()
    if find_spec(name) is None:
        extra = _EXTRAS.get(name, name)
        return Seen(((f"{name} is not installed.", f"pip install 'sqlmodelkit[{extra}]'"),))
    return Seen(said=name)


def sqlite(subject: Subject) -> Seen:
    """Look whether the database is a server."""
    if subject.engine != "sqlite":
        return Seen(said=f"the database is {subject.engine}")
    fix = "Set DATABASE_URL=postgresql://… before more than one machine serves."
    return Seen((("The database is SQLite.", fix),))


def pre_ping(subject: Subject) -> Seen:
    """Look whether a connection is tested before use."""
    if subject.engine == "sqlite" or subject.settings.pool_pre_ping:
        return Seen()
    return Seen((("pool_pre_ping is off.", "Set DB_POOL_PRE_PING=true."),))


def timeouts(subject: Subject) -> Seen:
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
    problems = [
        (f"{name} is 0: without limit.", f"Set DB_{name.upper()}=30 (seconds).")
        for name, seconds in limits.items()
        if not seconds
    ]
    if settings.pooler == "pgbouncer":
        problems.append(
            (
                "PgBouncer passes no limits on to the server.",
                (
                    "ALTER ROLE … SET statement_timeout = '30s', lock_timeout = '10s', "
                    "idle_in_transaction_session_timeout = '60s'."
                ),
            )
        )
    said = ", ".join(f"{name} {seconds:g} s" for name, seconds in limits.items())
    return Seen(tuple(problems), said=said)


def echo(subject: Subject) -> Seen:
    """Look whether every statement is logged."""
    if subject.settings.echo:
        return Seen((("echo is on.", "Set DB_ECHO=false, and watch by a hook."),))
    return Seen()
