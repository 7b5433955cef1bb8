"""Where the boxes of a diagram stand: in layers, parents left of their children.

Start at `arrange`. A link that passes over a layer gets a place there, so that it runs between
boxes and not through them.
"""

import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean

from .entities import Diagram, Link

_SWEEPS = 8
_GAP = 28
_LANE = 14
_BETWEEN_LAYERS = 90


@dataclass(slots=True)
class Spot:
    """A box, or the place where a link passes a layer, with its measures."""

    name: str
    width: float
    height: float
    x: float = 0
    y: float = 0
    before: list["Spot"] = field(default_factory=list)
    after: list["Spot"] = field(default_factory=list)

    @property
    def middle(self) -> float:
        """The height of its middle."""
        return self.y + self.height / 2


@dataclass(frozen=True, slots=True)
class Arrangement:
    """Where everything is: boxes by name, the lanes of each link, and the size of it all."""

    boxes: Mapping[str, Spot]
    lanes: Mapping[Link, Sequence[Spot]]
    width: float
    height: float


def arrange(diagram: Diagram, sizes: Mapping[str, tuple[float, float]]) -> Arrangement:
    """Place the entities, whose boxes have these sizes."""
    layer_of = _layers(diagram)
    layers: dict[int, list[Spot]] = defaultdict(list)
    boxes = {}
    for name, layer in layer_of.items():
        boxes[name] = Spot(name, *sizes[name])
        layers[layer].append(boxes[name])
    lanes = {}
    for link in diagram.links:
        first, last = layer_of[link.parent], layer_of[link.child]
        if first < last:
            lanes[link] = [Spot("", 0, _LANE) for _ in range(first + 1, last)]
            for number, lane in enumerate(lanes[link], start=first + 1):
                layers[number].append(lane)
            chain = [boxes[link.parent], *lanes[link], boxes[link.child]]
            for left, right in itertools.pairwise(chain):
                left.after.append(right)
                right.before.append(left)
    columns = [layers[number] for number in sorted(layers)]
    height = _place_vertically(columns)
    return Arrangement(boxes, lanes, _place_horizontally(columns), height)


def _layers(diagram: Diagram) -> dict[str, int]:
    """Return how far each entity stands from the left: behind all that it refers to."""
    parents: dict[str, set[str]] = {entity.name: set() for entity in diagram.entities}
    for link in diagram.links:
        if link.parent != link.child:
            parents[link.child].add(link.parent)
    layers: dict[str, int] = {}
    while len(layers) < len(parents):
        ready = [name for name in parents if name not in layers and parents[name] <= set(layers)]
        # In a ring of references somebody has to be first.
        waiting = (name for name in parents if name not in layers)
        chosen = ready or [min(waiting, key=lambda name: len(parents[name] - set(layers)))]
        for name in chosen:
            known = [layers[parent] for parent in parents[name] if parent in layers]
            layers[name] = max(known, default=-1) + 1
    return layers


def _place_vertically(columns: Sequence[list[Spot]]) -> float:
    for column in columns:
        _stack(column)
    for sweep in range(_SWEEPS):
        forward = sweep % 2 == 0
        for column in columns if forward else reversed(columns):
            wanted = {}
            for spot in column:
                near = spot.before if forward else spot.after
                wanted[id(spot)] = mean(other.middle for other in near) if near else spot.middle
            column.sort(key=lambda spot: wanted[id(spot)])
            _stack(column)
    tallest = max(column[-1].y + column[-1].height for column in columns)
    for column in columns:
        shift = (tallest - column[-1].y - column[-1].height) / 2
        for spot in column:
            spot.y += shift
    return tallest


def _stack(column: Sequence[Spot]) -> None:
    y: float = 0
    for spot in column:
        spot.y = y
        y += spot.height + _GAP


def _place_horizontally(columns: Sequence[Sequence[Spot]]) -> float:
    x: float = 0
    for column in columns:
        width = max(spot.width for spot in column)
        for spot in column:
            spot.x = x
            if not spot.name:
                spot.width = width
        x += width + _BETWEEN_LAYERS
    return x - _BETWEEN_LAYERS
