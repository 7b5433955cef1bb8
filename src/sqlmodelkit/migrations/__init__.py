"""The schema over time: migrations that are written, checked and run by plain functions. Ring 11.

Start at `Schema`, then `revision` and `upgrade`.
"""

from .conversions import ChangeType, RenameColumn
from .drift import Drift, check
from .entry import run_environment
from .linting import Finding, lint
from .operations import ChangeEnum, CreateEnum, DropEnum, FillNulls, RenameEnum
from .place import Schema, init
from .reviewing import Note
from .revising import Written, revision
from .running import Progress, Step, downgrade, stamp, upgrade
from .states import Revision, State, current, heads, history, merge
from .writing import sql

__all__ = [
    "ChangeEnum",
    "ChangeType",
    "CreateEnum",
    "Drift",
    "DropEnum",
    "FillNulls",
    "Finding",
    "Note",
    "Progress",
    "RenameColumn",
    "RenameEnum",
    "Revision",
    "Schema",
    "State",
    "Step",
    "Written",
    "check",
    "current",
    "downgrade",
    "heads",
    "history",
    "init",
    "lint",
    "merge",
    "revision",
    "run_environment",
    "sql",
    "stamp",
    "upgrade",
]
