"""How rows are read: from the response model to what is loaded. Ring 2.

`shape` lays a response model over its table; `rows` turns that into flat statements, `bytes` into
one whose answer is JSON, `objects` into loader options; `plan` says which of them is taken, and
why. Start at `Plan`.
"""

from .bytes import json_items, json_select
from .objects import row_options
from .plan import Path, Plan, Spare
from .rows import Collection, Fetch, Groups
from .shape import Edge, Shape, shape_of

__all__ = [
    "Collection",
    "Edge",
    "Fetch",
    "Groups",
    "Path",
    "Plan",
    "Shape",
    "Spare",
    "json_items",
    "json_select",
    "row_options",
    "shape_of",
]
