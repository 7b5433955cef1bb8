"""Projects and their parts as files: rendered from templates, never over a person's edits. Ring 12.

Start at `create_project`.
"""

from .creating import DATABASES, SIZES, Choices, create_project

__all__ = ["DATABASES", "SIZES", "Choices", "create_project"]
