"""The version that a caller has read, and whether the row still has it. Ring 6.

Start at `expected_version`.
"""

from typing import Any

from pydantic import ValidationError
from sqlalchemy import inspect
from sqlmodel import SQLModel

from .columns import key_values, mapper_of, typed
from .errors import ConfigError, StaleVersion
from .models import Version
from .sessions import AsyncSession, translating


def check_version(model: type[SQLModel], version: int | None) -> None:
    """Refuse a version that cannot be compared with the row's.

    Raises:
        ConfigError: The model has no `Version`, or the version is no number.
    """
    if version is None:
        return
    if not issubclass(model, Version):
        raise ConfigError(
            f"{model.__name__} has no version to compare with.", hint="Give it the mixin Version."
        )
    if isinstance(version, bool) or not isinstance(version, int):
        raise ConfigError(f"A version is a number, not {version!r}.")


async def expected_version(
    session: AsyncSession, model: type[SQLModel], key: Any, version: int | None
) -> int | None:
    """Return the version that a write of the row relies on, None when nobody has read it.

    That is the version which the caller names, or else that of the row in the session: it was
    read before, and what is done now was decided by it.

    Raises:
        ConfigError: The model has no `Version`.
        StaleVersion: A change of the row that waits in the session comes too late.
    """
    check_version(model, version)
    if version is not None or not issubclass(model, Version):
        return version
    with translating():
        # What waits to be written moves the version too.
        await session.flush()
    try:
        parts = tuple(typed(model, name, part) for name, part in key_values(model, key).items())
    except ValidationError:
        return None
    row = session.identity_map.get(mapper_of(model).identity_key_from_primary_key(parts))
    held: int | None = None if row is None else inspect(row).dict.get("version")
    return held


def stale(model: type[SQLModel]) -> StaleVersion:
    """Return the error of a write that comes too late."""
    return StaleVersion(
        f"This {model.__name__} was changed by somebody else in the meantime.",
        hint="Read it again and repeat the change.",
        model=model.__name__,
    )
