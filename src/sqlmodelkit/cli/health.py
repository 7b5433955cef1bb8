"""`sqlmodelkit doctor` and `pool-size`: whether it will do in production.

Start at `doctor`.
"""

import asyncio
from collections import Counter
from dataclasses import asdict
from typing import Annotated, Literal

import typer

from sqlmodelkit import Database
from sqlmodelkit.doctor import Finding, examine, subject_of
from sqlmodelkit.projects import find_project, settings_here
from sqlmodelkit.sizing import advise, server_limit

from .output import JsonFlag, show

_USUAL = 100
FailOn = Literal["error", "warning", "never"]


def doctor(
    *,
    workers: Annotated[
        int | None, typer.Option(help="Processes that serve; else WEB_CONCURRENCY, or 1.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="A check; may be given several times.")
    ] = None,
    fail_on: Annotated[FailOn, typer.Option(help="What makes the status 1.")] = "error",
    as_json: JsonFlag = False,
) -> None:
    """Examine the project for production: what is wrong, why it matters, and the exact fix."""
    subject = subject_of(find_project(), workers=workers)
    findings = asyncio.run(examine(subject, only=only or ()))
    count = Counter(finding.status for finding in findings)
    total = ", ".join(
        f"{count[status]} {status}" for status in ("passed", "failed", "unknown", "skipped")
    )
    show(
        "\n".join([*map(str, findings), "", total]),
        data=[asdict(finding) for finding in findings],
        as_json=as_json,
    )
    if any(_counts(finding, fail_on) for finding in findings):
        raise typer.Exit(1)


def _counts(finding: Finding, fail_on: FailOn) -> bool:
    # What could not be seen is not known to be right.
    if finding.status in ("passed", "skipped") or fail_on == "never":
        return False
    return fail_on == "warning" or finding.severity == "error"


def pool_size(
    *,
    rps: Annotated[float, typer.Option(help="Requests per second at the busiest hour.")],
    latency: Annotated[
        float, typer.Option(help="Milliseconds for which a request holds a connection.")
    ],
    workers: Annotated[int, typer.Option(help="Processes that serve, on all machines.")] = 1,
    server: Annotated[
        int | None, typer.Option(help="Connections that the server allows; else it is asked.")
    ] = None,
    headroom: Annotated[float, typer.Option(help="By how much the load may grow.")] = 0.3,
    as_json: JsonFlag = False,
) -> None:
    """Reckon how many connections the pool of each worker should have."""
    limit = asyncio.run(_limit()) if server is None else server
    advice = advise(
        rps=rps,
        latency_ms=latency,
        workers=workers,
        server_limit=_USUAL if limit is None else limit,
        headroom=headroom,
    )
    lines = [
        f"DB_POOL_SIZE={advice.pool_size}",
        f"DB_MAX_OVERFLOW={advice.max_overflow}",
        "",
        *advice.reasons,
        *([] if limit else [f"SQLite has no limit: {_USUAL} is the usual one of a server."]),
    ]
    show("\n".join(lines), data=asdict(advice), as_json=as_json)
    if not advice.fits:
        raise typer.Exit(1)


async def _limit() -> int | None:
    db = Database(settings=settings_here())
    try:
        return await server_limit(db)
    finally:
        await db.close()
