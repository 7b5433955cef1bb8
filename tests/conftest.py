"""Shared by all tests; fixtures live in plugins by theme."""

import pytest

pytest_plugins = ["tests.fix_db"]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Asyncio only: SQLAlchemy's asyncio layer knows no other."""
    return "asyncio"
