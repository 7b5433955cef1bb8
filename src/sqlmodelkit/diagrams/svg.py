"""A diagram as SVG: boxes with columns, lines with crow's feet; it needs no other program."""

import itertools
from collections.abc import Iterator
from xml.sax.saxutils import escape

from .entities import Diagram, Entity, Line, Link
from .layout import Arrangement, Spot, arrange

_LETTER = 7.3
_ROW = 20
_HEAD = 28
_PAD = 10
_MARGIN = 40
_STYLE = """
  .box { fill: #ffffff; stroke: #44546a; }
  .head { fill: #44546a; }
  .title { fill: #ffffff; font-weight: bold; }
  .key { font-weight: bold; }
  .type, .mark { fill: #6b7785; }
  .mark { font-size: 10px; }
  .link { fill: none; stroke: #44546a; stroke-width: 1.2; }
  text { fill: #1f2933; font-size: 12px; font-family: ui-monospace, Menlo, Consolas,
    "DejaVu Sans Mono", "Liberation Mono", "Noto Sans Mono", "Courier New", monospace; }
"""


def svg(diagram: Diagram) -> str:
    """Return the picture; the foot of a line with three toes stands at the side of many."""
    sizes = {entity.name: _size(entity) for entity in diagram.entities}
    places = arrange(diagram, sizes)
    width, height = places.width + 2 * _MARGIN, places.height + 2 * _MARGIN
    entities = {entity.name: entity for entity in diagram.entities}
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{-_MARGIN} {-_MARGIN} '
            f'{width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}">'
        ),
        f"<style>{_STYLE}</style>",
        f'<rect x="{-_MARGIN}" y="{-_MARGIN}" width="100%" height="100%" fill="#ffffff"/>',
        *(part for link in diagram.links for part in _draw_link(link, places, entities)),
        *(part for entity in diagram.entities for part in _draw(entity, places.boxes[entity.name])),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _size(entity: Entity) -> tuple[float, float]:
    name, kind, mark = _widths(entity)
    width = max(name + kind + mark + 4 * _PAD, len(entity.name) * _LETTER + 2 * _PAD)
    return width, _HEAD + _ROW * len(entity.lines) + _PAD / 2


def _widths(entity: Entity) -> tuple[float, float, float]:
    lines = entity.lines or (Line("", "", (), False),)
    return (
        max(len(line.name) for line in lines) * _LETTER,
        max(len(_kind(line)) for line in lines) * _LETTER,
        max(len(" ".join(line.marks)) for line in lines) * _LETTER,
    )


def _kind(line: Line) -> str:
    return f"{line.type}?" if line.nullable else line.type


def _draw(entity: Entity, box: Spot) -> Iterator[str]:
    x, y = box.x, box.y
    yield (
        f'<rect class="box" x="{x:.1f}" y="{y:.1f}" width="{box.width:.1f}" '
        f'height="{box.height:.1f}" rx="4"/>'
    )
    yield (
        f'<rect class="head" x="{x:.1f}" y="{y:.1f}" width="{box.width:.1f}" height="{_HEAD - 4}" '
        f'rx="4"/>'
    )
    yield _text("title", x + _PAD, y + 17, entity.name)
    name, _, mark = _widths(entity)
    for number, line in enumerate(entity.lines):
        height = y + _HEAD + _ROW * number + 13
        yield _text("key" if "PK" in line.marks else "name", x + _PAD, height, line.name)
        yield _text("type", x + name + 2 * _PAD, height, _kind(line))
        if line.marks:
            yield _text("mark", x + box.width - mark - _PAD / 2, height, " ".join(line.marks))


def _text(kind: str, x: float, y: float, text: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(text)}</text>'


def _draw_link(link: Link, places: Arrangement, entities: dict[str, Entity]) -> Iterator[str]:
    child, parent = places.boxes[link.child], places.boxes[link.parent]
    end = _row(entities[link.child], child, link.columns[0])
    start = _row(entities[link.parent], parent, "")
    title = f"<title>{escape(link.child)}: {escape(', '.join(link.columns))}</title>"
    if link in places.lanes:
        points = [(parent.x + parent.width, start)]
        for lane in places.lanes[link]:
            points += [(lane.x, lane.middle), (lane.x + lane.width, lane.middle)]
        points.append((child.x, end))
        yield f'<path class="link" d="{_curve(points)}">{title}</path>'
        yield from _toes(child.x, end, -1, link)
        return
    # A table that refers to itself, or one of a ring: around the right-hand side.
    right, other = child.x + child.width, parent.x + parent.width
    reach = max(right, other) + 34
    path = (
        f"M {other:.1f} {start:.1f} C {reach:.1f} {start:.1f} {reach:.1f} {end:.1f} "
        f"{right:.1f} {end:.1f}"
    )
    yield f'<path class="link" d="{path}">{title}</path>'
    yield from _toes(right, end, 1, link)


def _row(entity: Entity, box: Spot, column: str) -> float:
    """Return the height of a column in its box; of the key where none is named."""
    for number, line in enumerate(entity.lines):
        if line.name == column or (not column and "PK" in line.marks):
            return box.y + _HEAD + _ROW * number + 9
    return box.y + _HEAD / 2


def _curve(points: list[tuple[float, float]]) -> str:
    path = [f"M {points[0][0]:.1f} {points[0][1]:.1f}"]
    for (x, y), (next_x, next_y) in itertools.pairwise(points):
        half = (x + next_x) / 2
        path.append(f"C {half:.1f} {y:.1f} {half:.1f} {next_y:.1f} {next_x:.1f} {next_y:.1f}")
    return " ".join(path)


def _toes(x: float, y: float, side: int, link: Link) -> Iterator[str]:
    """Draw the foot at the child: three toes for many, a bar for one at most."""
    away = x + side * 9
    if link.single:
        yield f'<path class="link" d="M {away:.1f} {y - 5:.1f} L {away:.1f} {y + 5:.1f}"/>'
    else:
        yield (
            f'<path class="link" d="M {away:.1f} {y:.1f} L {x:.1f} {y - 5:.1f} '
            f'M {away:.1f} {y:.1f} L {x:.1f} {y + 5:.1f}"/>'
        )
