"""What tests of an application need; the fixtures of the pytest plugin are made of it. Ring 11.

Start at `WatchedDatabase`. Nothing here imports pytest.
"""

from .scratch import Scratch
from .trials import Trial
from .watching import WatchedDatabase, assert_statements

__all__ = ["Scratch", "Trial", "WatchedDatabase", "assert_statements"]
