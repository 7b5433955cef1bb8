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
        return Seen(said="the database is a server")
    fix = "Set DATABASE_URL=postgresql://… before more than one machine serves."
    return Seen((("The database is SQLite.", fix),))


def pre_ping(subject: Subject) -> Seen:
    """Look whether a connection is tested before use."""
    if subject.engine == "sqlite" or subject.settings.pool_pre_ping:
        return Seen()
    return Seen((("pool_pre_ping is off.", "Set DB_POOL_PRE_PING=true."),))


def echo(subject: Subject) -> Seen:
    """Look whether every statement is logged."""
    if subject.settings.echo:
        return Seen((("echo is on.", "Set DB_ECHO=false, and watch by a hook."),))
    return Seen()
