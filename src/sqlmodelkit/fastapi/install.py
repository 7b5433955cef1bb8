"""Joins a database to an application."""

from collections.abc import Mapping

from fastapi import FastAPI

from sqlmodelkit.database import Database

from .deps import bind_database
from .handlers import add_handlers
from .health import Check, add_health


def install(
    app: FastAPI, db: Database, *, health: str | None = "/health", checks: Mapping[str, Check] = {}
) -> None:
    """Give an application its database, error answers and health routes.

    Args:
        app: The application.
        db: Where services and sessions of its endpoints work.
        health: The prefix of `/live` and `/ready`; None for no health routes.
        checks: Further checks of `/ready` by name: each raises when it fails.
    """
    bind_database(app, db)
    add_handlers(app)
    if health is not None:
        add_health(app, db, checks, prefix=health)
