"""Where the example has its database and its token from: the environment."""

import os

from sqlmodelkit import Database

from .auth import random_token


def open_database() -> Database:
    """Return the database that DATABASE_URL names, or SQLite in ./shop.db.

    Raises:
        ConfigError: DATABASE_URL cannot be used.
    """
    return Database(os.environ.get("DATABASE_URL") or "sqlite:///./shop.db")


def given_token() -> str | None:
    """Return SHOP_TOKEN, None when it is not set."""
    return os.environ.get("SHOP_TOKEN") or None


def choose_token() -> str:
    """Return SHOP_TOKEN, or a new random token when it is not set."""
    return given_token() or random_token()
