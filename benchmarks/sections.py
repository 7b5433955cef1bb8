"""What a run measures on each database, section by section of the page.

A further measurement is a function of the same form in `SECTIONS`.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from .chart import draw
from .measure import Options, Say, measure
from .report import tables
from .stores import Store


@dataclass(frozen=True)
class Section:
    """A part of the page: its text, and pictures by file name."""

    title: str
    text: str
    pictures: dict[str, str] = field(default_factory=dict)


async def over_http(store: Store, options: Options, say: Say) -> Section:
    """Measure requests to an application of each contender."""
    results = await measure(store, options, say)
    pictures = {}
    if store.engine == "postgresql":
        pictures["benchmarks.svg"] = draw(results, options, store.version)
    return Section("Requests", tables(results, options), pictures)


SECTIONS: tuple[Callable[[Store, Options, Say], Awaitable[Section]], ...] = (over_http,)
