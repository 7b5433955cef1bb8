"""How a connection is made and what happens to it: prepared, begun, failed, given back. Ring 3.

Start at `create_engine`.
"""

from .begun import ISOLATION, PATIENCE, READ_ONLY, borrowed, patiently
from .failed import refusal
from .made import SEAL, create_engine
from .pooled import LIVENESS, Liveness, liveness_of

__all__ = [
    "ISOLATION",
    "LIVENESS",
    "PATIENCE",
    "READ_ONLY",
    "SEAL",
    "Liveness",
    "borrowed",
    "create_engine",
    "liveness_of",
    "patiently",
    "refusal",
]
