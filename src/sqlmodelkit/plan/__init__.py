"""How rows are read: from the response model to what is loaded. Ring 2.

`shape` lays a response model over its table, `objects` turns that into loader options.
Start at `Plan`.
"""

from .objects import Plan
from .shape import Edge, Shape, shape_of

__all__ = ["Edge", "Plan", "Shape", "shape_of"]
