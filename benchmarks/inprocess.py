"""Measures tasks in process: each contender in a process of its own, round after round.

`python -m benchmarks.inprocess AREA TASK CONTENDER RUNS` prints the figures of one as JSON; it is
run by `measure_tasks`.
"""

import asyncio
import gc
import importlib
import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import asyncpg  # type: ignore[import-untyped]
from sqlalchemy.engine import make_url

from .equality import Different
from .measure import Say
from .processes import Layout
from .stores import Store
from .tasks import TASKS, WAYS, Task

_STATUS, _CLEAR_REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_HAND = "by_hand"


@dataclass
class Figures:
    """What was measured of one task and contender: a number for each round."""

    milliseconds: list[float] = field(default_factory=list)
    cpu_milliseconds: list[float] = field(default_factory=list)
    growth_megabytes: list[float] = field(default_factory=list)


async def measure_tasks(store: Store, rounds: int, say: Say) -> str:
    """Measure the tasks on PostgreSQL, and return the tables of that; nothing on other databases.

    Raises:
        Different: Two contenders answer differently.
    """
    if store.engine != "postgresql":
        return ""
    found: dict[tuple[str, str], Figures] = defaultdict(Figures)
    connection = await asyncpg.connect(driver_url(store.url))
    try:
        for task in TASKS:
            await _run_sql(connection, task.before)
            for number in range(rounds):
                say(f"in process, round {number + 1} of {rounds}: {task.title}")
                await _round(store, task, number, found)
            await _run_sql(connection, task.finally_)
    finally:
        await connection.close()
    return tables(found)


def driver_url(url: str) -> str:
    """Return an address as asyncpg takes it."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


async def _run_sql(connection: Any, statement: str | None) -> None:
    if statement is not None:
        await connection.execute(statement)


async def _round(
    store: Store, task: Task, number: int, found: dict[tuple[str, str], Figures]
) -> None:
    shift = number % len(WAYS)
    names = [*WAYS][shift:] + [*WAYS][:shift]
    answers = {}
    for contender in names:
        measured = await _measure_apart(store, task, contender)
        if measured is None:
            continue
        answers[contender] = measured["answer"]
        figures = found[task.name, contender]
        figures.milliseconds.append(measured["milliseconds"])
        figures.cpu_milliseconds.append(measured["cpu_milliseconds"])
        figures.growth_megabytes.append(measured["growth_megabytes"])
    if len({json.dumps(answer) for answer in answers.values()}) > 1:
        raise Different(f"{task.title}: {answers}")


async def _measure_apart(store: Store, task: Task, contender: str) -> dict[str, Any] | None:
    environment = {**os.environ, "BENCHMARK_URL": store.url, "BENCHMARK_CONNECTIONS": "1"}
    arguments = (task.area, task.name, contender, str(task.runs))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.inprocess", *arguments),
        stdout=asyncio.subprocess.PIPE,
        env=environment,
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{task.name} of {contender} failed; its complaint stands above.")
    measured: dict[str, Any] | None = json.loads(output)
    return measured


def tables(found: dict[tuple[str, str], Figures]) -> str:
    """Return the tables of what was measured."""
    if not found:
        return ""
    head = ["", *WAYS.values()]
    lines = [
        "### In process: milliseconds of wall time (client CPU), and growth of memory",
        "",
        "Each contender runs alone, in a process of its own, over one connection. Growth is the",
        "peak above what the process had before the first time, in MB. In brackets stands the",
        "wall time as a multiple of the hand-written one.",
        "",
        f"| {' | '.join(head)} |",
        "|---" * len(head) + "|",
    ]
    for task in TASKS:
        cells = [_cell(found, task, contender) for contender in WAYS]
        lines.append(f"| {task.title} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _cell(found: dict[tuple[str, str], Figures], task: Task, contender: str) -> str:
    figures, hand = found.get((task.name, contender)), found.get((task.name, _HAND))
    if figures is None:
        return "n/a"
    wall = median(figures.milliseconds)
    text = f"{wall:.2f} ({median(figures.cpu_milliseconds):.2f})"
    text += f", {median(figures.growth_megabytes):.1f} MB"
    return f"{text} [{wall / median(hand.milliseconds):.2f}]" if hand is not None else text


def main(arguments: Sequence[str]) -> None:
    """Measure one task of one contender, and print the figures."""
    area, name, contender, runs = arguments
    os.sched_setaffinity(0, Layout.of_this_machine().application)
    try:
        module = importlib.import_module(f".tasks.{area}_{contender}", __package__)
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith(str(__package__)):
            raise
        module = None
    task = next(task for task in TASKS if (task.area, task.name) == (area, name))
    way = getattr(module, name, None)
    print(json.dumps(None if way is None else asyncio.run(_measure(task, way, int(runs)))))


async def _measure(task: Task, way: Any, runs: int) -> dict[str, Any]:
    connection = await asyncpg.connect(driver_url(os.environ["BENCHMARK_URL"]))
    walls, cpus = [], []
    async with way() as run:
        gc.collect()
        before = _from_here()
        answer = await run()
        await _run_sql(connection, task.after)
        for _ in range(runs):
            wall, cpu = time.perf_counter(), time.process_time()
            await run()
            cpus.append(time.process_time() - cpu)
            walls.append(time.perf_counter() - wall)
            await _run_sql(connection, task.after)
        growth = _peak_megabytes() - before
    await connection.close()
    return {
        "answer": _keys(answer) if isinstance(answer, bytes) else answer,
        "milliseconds": 1000 * median(walls),
        "cpu_milliseconds": 1000 * median(cpus),
        "growth_megabytes": growth,
    }


def _keys(page: bytes) -> list[int]:
    """Return the keys of the rows of a page, in whatever envelope they are."""
    parsed = json.loads(page)
    return [row["id"] for row in (parsed["items"] if isinstance(parsed, dict) else parsed)]


def _from_here() -> float:
    """Let the peak of memory count from here, and return it."""
    _CLEAR_REFS.write_text("5")
    return _peak_megabytes()


def _peak_megabytes() -> float:
    """Return the most memory that the process has had since the peak was cleared."""
    lines = _STATUS.read_text().splitlines()
    peak = next(line for line in lines if line.startswith("VmHWM:"))
    return int(peak.split()[1]) / 1024


if __name__ == "__main__":
    main(sys.argv[1:])
