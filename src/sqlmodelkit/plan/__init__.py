"""How rows are read: from the response model to what is loaded. Ring 3.

`shape` lays a response model over its table; `rows` turns that into flat statements, `bytes` into
one whose answer is JSON, `objects` into flat statements of table rows; `plan` says which of them
is taken, and why. Start at `Plan`.
"""

from .bytes import gathers, json_items, json_lines, json_select
from .objects import row_options, source_of
from .plan import Path, Plan, Spare
from .rows import Collection, Fetch, Groups
from .shape import Cut, Depth, Edge, Limit, Shape, shape_of

__all__ = [
    "Collection",
    "Cut",
    "Depth",
    "Edge",
    "Fetch",
    "Groups",
    "Limit",
    "Path",
    "Plan",
    "Shape",
    "Spare",
    "gathers",
    "json_items",
    "json_lines",
    "json_select",
    "row_options",
    "shape_of",
    "source_of",
]
