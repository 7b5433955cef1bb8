"""What there is to examine in a project.

Start at `subject_of`.
"""

import os
from collections.abc import Iterator
from typing import Any

from sqlalchemy import MetaData

from sqlmodelkit.database import Database
from sqlmodelkit.errors import ConfigError
from sqlmodelkit.migrations import Schema
from sqlmodelkit.projects import Project, settings_below
from sqlmodelkit.service import ServiceBase

from .findings import Subject

Service = type[ServiceBase[Any, Any, Any]]


def subject_of(project: Project, *, workers: int | None = None) -> Subject:
    """Return what is to be examined of a project; its modules are imported.

    Args:
        project: The project.
        workers: How many processes serve it; left out, WEB_CONCURRENCY, or 1.

    Raises:
        ConfigError: The application or a model cannot be imported, or a setting is wrong.
    """
    metadata = project.load_models()
    app = None if project.entrypoint is None else project.load_app()
    found = getattr(app.state, "sqlmodelkit", None) if app is not None else None
    db = found if isinstance(found, Database) else None
    # What the application really uses, which need not be what the environment says.
    settings = settings_below(project.root, db.settings) if db else project.settings()
    has_migrations = (project.migrations / "env.py").is_file()
    return Subject(
        settings=settings,
        metadata=metadata,
        services=tuple(services_of(metadata)),
        app=app,
        db=db,
        schema=Schema.of(project, settings=settings) if has_migrations else None,
        root=project.root,
        workers=_workers(workers),
    )


def _workers(given: int | None) -> int:
    name, number = "--workers", str(given)
    if given is None:
        name, number = "WEB_CONCURRENCY", os.environ.get("WEB_CONCURRENCY", "1")
    if not number.isdecimal() or int(number) < 1:
        raise ConfigError(f"{name} is {number!r}.", hint="It is a number from 1.")
    return int(number)


def services_of(metadata: MetaData | None = None) -> Iterator[Service]:
    """Yield the services that are known: those of the tables in `metadata`, or all of them."""
    waiting: list[Any] = list(ServiceBase.__subclasses__())
    while waiting:
        service = waiting.pop(0)
        waiting += service.__subclasses__()
        model = getattr(service, "model", None)
        if model is not None and metadata in (None, model.metadata):
            yield service
