"""What is examined, and what is found.

Start at `Check`.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal

from fastapi import FastAPI
from sqlalchemy import MetaData

from sqlmodelkit.database import Database
from sqlmodelkit.migrations import Schema
from sqlmodelkit.service import ServiceBase
from sqlmodelkit.settings import DatabaseSettings

Status = Literal["passed", "failed", "unknown", "skipped"]
"""How a check ended; `unknown` where what it asks does not answer, `skipped` where there is none."""

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Subject:
    """What is examined.

    Attributes:
        settings: How the application reaches its database.
        metadata: Its tables.
        services: Its services.
        app: The application, if there is one.
        db: The application's database, if it has one.
        schema: Its migrations, if it has them.
        root: Where its source is, if that is known.
        workers: How many processes serve it.
    """

    settings: DatabaseSettings
    metadata: MetaData
    services: tuple[type[ServiceBase[Any, Any, Any]], ...] = ()
    app: FastAPI | None = None
    db: Database | None = None
    schema: Schema | None = None
    root: Path | None = None
    workers: int = 1

    @property
    def engine(self) -> str:
        """sqlite, postgresql, mysql or mariadb, as the address says."""
        return self.settings.engine_url().get_backend_name()


@dataclass(frozen=True, slots=True)
class Seen:
    """What a check has seen.

    Attributes:
        problems: What is wrong, each with the exact fix; none says that it is as it should be.
        said: What is to be known in any case, as the numbers of a formula.
        unknown: Why nothing could be seen.
        skipped: Why there is nothing to look at.
    """

    problems: tuple[tuple[str, str], ...] = ()
    said: str = ""
    unknown: str = ""
    skipped: str = ""

    @property
    def status(self) -> Status:
        """How the check ended."""
        if self.unknown:
            return "unknown"
        if self.skipped:
            return "skipped"
        return "failed" if self.problems else "passed"


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the list.

    Attributes:
        name: By which it is called.
        why: Why it matters.
        severity: An error breaks something in production, a warning costs something.
        look: Looks at the subject.
    """

    name: str
    why: str
    severity: Severity
    look: Callable[[Subject], Seen | Awaitable[Seen]]


@dataclass(frozen=True, slots=True)
class Finding:
    """How a check ended.

    Attributes:
        check: The check's name.
        status: passed, failed, unknown or skipped.
        severity: error or warning.
        why: Why it matters.
        said: What was seen.
        problems: What is wrong, each with the exact fix.
    """

    check: str
    status: Status
    severity: Severity
    why: str
    said: str = ""
    problems: tuple[tuple[str, str], ...] = field(default=())

    def __str__(self) -> str:
        mark = {"passed": "ok  ", "failed": "FAIL", "unknown": "?   ", "skipped": "-   "}[
            self.status
        ]
        if self.status == "failed" and self.severity == "warning":
            mark = "warn"
        lines = [f"{mark}  {self.check}" + (f": {self.said}" if self.said else "")]
        for fix, group in groupby(self.problems, key=itemgetter(1)):
            lines += [f"      {problem}" for problem, _ in group]
            lines.append(f"      -> {fix}")
        if self.problems:
            lines.append(f"      why: {self.why}")
        return "\n".join(lines)
