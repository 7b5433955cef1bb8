"""Copies of a whole database by its own tools, and back again. Ring 11.

Start at `backup`, then `verify` and `restore`.
"""

from .copying import Backup, backup
from .counts import Difference
from .restoring import Restored, restore, verify

__all__ = ["Backup", "Difference", "Restored", "backup", "restore", "verify"]
