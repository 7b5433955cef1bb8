"""The session: nothing is loaded behind your back, what is out of scope is not there. Ring 3.

One task at a time uses it, and what waits for its commit runs when the commit is durable. Start at
`AsyncSession`.
"""

from .asynchronous import AsyncSession
from .guarded import UNKNOWN, AfterCommit
from .live import INCLUDE_DELETED, ONLY_LIVE
from .overseen import narrowed, overseen
from .translated import translating

__all__ = [
    "INCLUDE_DELETED",
    "ONLY_LIVE",
    "UNKNOWN",
    "AfterCommit",
    "AsyncSession",
    "narrowed",
    "overseen",
    "translating",
]
