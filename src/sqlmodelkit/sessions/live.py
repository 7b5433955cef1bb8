"""Soft-deleted rows are out of sight, unless a statement asks for them by name."""

from typing import Any

from sqlalchemy import ColumnElement, true
from sqlalchemy.orm import with_loader_criteria

from sqlmodelkit.models import SoftDelete

INCLUDE_DELETED = "include_deleted"
"""Execution option of a statement that shall also see soft-deleted rows."""
EVERYTHING = {INCLUDE_DELETED: True}


def _live(model: type[Any]) -> ColumnElement[bool]:
    # SQLAlchemy also asks for the mixin itself, which is no table and has no column.
    column = getattr(model, "deleted_at", None)
    return true() if column is None else column.is_(None)


ONLY_LIVE = with_loader_criteria(
    SoftDelete, _live, include_aliases=True, track_closure_variables=False
)
