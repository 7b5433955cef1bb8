"""The list of checks, in the order in which they are told.

Start at `examine`.
"""

import inspect
from collections.abc import Collection

from sqlmodelkit.errors import ConfigError, SQLModelKitError

from . import application, connecting, models, schema, server, source
from .findings import Check, Finding, Seen, Subject

CHECKS = (
    Check(
        "driver",
        "A driver that is not installed is noticed at the first statement only.",
        "error",
        connecting.driver,
    ),
    Check(
        "sqlite",
        "SQLite has one writer at a time and lives on one machine.",
        "warning",
        connecting.sqlite,
    ),
    Check(
        "pool",
        "Connections beyond the server's limit are refused: requests fail when load is highest.",
        "error",
        server.pool,
    ),
    Check(
        "pre-ping",
        "Without it the first request after a restart of the database meets a dead connection.",
        "warning",
        connecting.pre_ping,
    ),
    Check(
        "recycle",
        "The server closes connections that are idle for long; the pool should do so first.",
        "warning",
        server.recycle,
    ),
    Check(
        "timeouts",
        "A statement or lock without a limit holds a connection until somebody notices.",
        "error",
        server.timeouts,
    ),
    Check(
        "echo",
        "Every statement with its values in the log costs time, and may tell secrets.",
        "warning",
        connecting.echo,
    ),
    Check(
        "expire-on-commit",
        "What is read after a commit would be loaded again, which async sessions cannot do.",
        "error",
        source.expire_on_commit,
    ),
    Check(
        "foreign-key-indexes",
        "Without an index each delete of a parent and each collection reads the whole child table.",
        "error",
        models.foreign_key_indexes,
    ),
    Check(
        "filter-indexes",
        "What clients may filter and sort by is asked for in every page.",
        "warning",
        models.filter_indexes,
    ),
    Check(
        "numbers",
        "MariaDB and MySQL round what is stored, without an error.",
        "error",
        models.numbers,
    ),
    Check(
        "back-populates",
        "One side of a relation does not notice what is changed at the other.",
        "warning",
        models.back_populates,
    ),
    Check(
        "responses",
        "A response that is a table, or shows itself without end, cannot be answered safely.",
        "error",
        application.responses,
    ),
    Check(
        "secrets",
        "What is in a response model is public.",
        "error",
        application.secrets,
    ),
    Check(
        "migrations",
        "Code that expects a newer schema than the database has fails at the first request.",
        "error",
        schema.at_head,
    ),
    Check(
        "drift",
        "Models that differ from the database fail at run time, or lose data at the next revision.",
        "error",
        schema.drift,
    ),
    Check(
        "health",
        "Without it a load balancer sends requests to a process that cannot serve.",
        "error",
        application.health,
    ),
    Check(
        "slow-log",
        "Nobody learns which statements are slow before users say so.",
        "warning",
        server.slow_log,
    ),
    Check(
        "credentials",
        "Who can read the source could read the database.",
        "error",
        source.credentials,
    ),
)


async def examine(subject: Subject, *, only: Collection[str] = ()) -> list[Finding]:
    """Run the checks, and return what each has found.

    Args:
        subject: What is examined.
        only: The names of the checks to run; all when left out.

    Raises:
        ConfigError: There is no check of a name that was given.
    """
    names = [check.name for check in CHECKS]
    unknown = sorted(set(only) - set(names))
    if unknown:
        raise ConfigError(
            f"There is no check {', '.join(unknown)}.", hint=f"Checks are {', '.join(names)}."
        )
    return [await _run(check, subject) for check in CHECKS if not only or check.name in only]


async def _run(check: Check, subject: Subject) -> Finding:
    try:
        found = check.look(subject)
        seen = await found if inspect.isawaitable(found) else found
    except SQLModelKitError as error:
        seen = Seen(unknown=error.message)
    return Finding(
        check.name,
        seen.status,
        check.severity,
        check.why,
        seen.unknown or seen.skipped or seen.said,
        seen.problems,
    )
