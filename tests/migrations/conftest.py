"""Fixtures for tests of migrations: an empty database and a directory for them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import MetaData

from sqlmodelkit import DatabaseSettings
from sqlmodelkit.migrations import Schema, init
from sqlmodelkit.models import NAMING_CONVENTION

SchemaOf = Callable[[MetaData], Schema]


def new_metadata() -> MetaData:
    """Return metadata that names constraints as the package does."""
    return MetaData(naming_convention=NAMING_CONVENTION)


@pytest.fixture
def schema_of(database_url: str, tmp_path: Path) -> SchemaOf:
    """A function from metadata to a schema: its migrations and its database stay the same."""
    directory = tmp_path / "migrations"
    init(directory)
    settings = DatabaseSettings(url=database_url)
    return lambda metadata: Schema(metadata, directory, settings)
