"""The schema over time: migrations that are written, checked and run by plain functions. Ring 11.

Start at `Schema`, then `revision` and `upgrade`.
"""

from .environment import run_environment
from .place import Schema, init
from .reviewing import Note
from .revising import Written, revision
from .running import Step, downgrade, stamp, upgrade
from .states import Revision, State, current, heads, history, merge

__all__ = [
    "Note",
    "Revision",
    "Schema",
    "State",
    "Step",
    "Written",
    "current",
    "downgrade",
    "heads",
    "history",
    "init",
    "merge",
    "revision",
    "run_environment",
    "stamp",
    "upgrade",
]
