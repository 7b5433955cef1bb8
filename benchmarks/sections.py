"""What a run measures on each database, section by section of the page.

A further measurement is a function of the same form in `SECTIONS`.
"""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from .chart import draw
from .inprocess import measure_tasks
from .measure import Options, Say, measure
from .report import tables
from .stores import Store

MODELS, REQUESTS = 100, 100_000
"""What `startup` measures: how many models, how many requests."""


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


async def from_the_start(store: Store, options: Options, say: Say) -> Section:
    """Measure the first requests, the making of plans, and memory over many requests."""
    if not any(contender.kind == "ours" for contender in options.contenders):
        return Section("Start and memory", "")
    say("start and memory")
    environment = {
        **os.environ,
        "BENCHMARK_URL": store.url,
        "BENCHMARK_CONNECTIONS": str(options.connections),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.startup", stdout=asyncio.subprocess.PIPE, env=environment
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError("benchmarks.startup failed; its complaint stands above.")
    found = json.loads(output)
    lines = ["### Start and memory of sqlmodelkit, in process", "", "| | |", "|---|---|"]
    lines += [
        f"| First request slower than later ones: {title} | {milliseconds:.0f} ms |"
        for title, milliseconds in found["first_ms"].items()
    ]
    lines += [
        f"| {MODELS} response models made into plans | {found['compiling_s']:.2f} s |",
        f"| Growth of memory over {REQUESTS:,} requests | {found['growth_mb']:.1f} MB |",
    ]
    return Section("Start and memory", "\n".join([*lines, ""]))


async def in_process(store: Store, options: Options, say: Say) -> Section:
    """Measure the work that a program does by itself, without HTTP."""
    if not any(contender.kind == "ours" for contender in options.contenders):
        return Section("In process", "")
    return Section("In process", await measure_tasks(store, options.rounds, say))


SECTIONS: tuple[Callable[[Store, Options, Say], Awaitable[Section]], ...] = (
    over_http,
    from_the_start,
    in_process,
)
