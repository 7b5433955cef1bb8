"""Whether an application is ready for production, as checks that run. Ring 12.

Start at `examine`.
"""

from .checks import CHECKS, examine
from .findings import Check, Finding, Seen, Status, Subject
from .gathering import services_of, subject_of

__all__ = [
    "CHECKS",
    "Check",
    "Finding",
    "Seen",
    "Status",
    "Subject",
    "examine",
    "services_of",
    "subject_of",
]
