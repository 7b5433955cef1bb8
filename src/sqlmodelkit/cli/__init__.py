"""The command line, `sqlmodelkit`: it only parses and prints; what commands do is in lower rings.

Ring 14. Start at `main`.
"""

from .app import app, main

__all__ = ["app", "main"]
