"""Pictures of tables and what joins them. Ring 11.

Start at `Diagram.of`, then `mermaid` or `svg`; `write` chooses by the name of the file.
"""

from .entities import Diagram, Entity, Line, Link
from .mermaid import mermaid
from .svg import svg
from .writing import write

__all__ = ["Diagram", "Entity", "Line", "Link", "mermaid", "svg", "write"]
