"""Rows from outside are added; a bad one is left out and named, the good ones stay.

Problem: on PostgreSQL a refused statement ends the whole transaction. Way: each row has a savepoint
of its own, and the error is caught around it.
"""

from collections.abc import Iterable

from examples.shop.models import TagCreate
from examples.shop.services import TagService
from sqlmodelkit import AsyncSession, UniqueViolation


async def add_tags(session: AsyncSession, names: Iterable[str]) -> list[str]:
    """Add tags, and return the names that were there already."""
    refused = []
    for name in names:
        try:
            async with session.savepoint():
                await TagService(session).create(TagCreate(name=name))
        except UniqueViolation:
            refused.append(name)
    return refused
