"""What the start of an application costs, and whether its memory grows: ours alone, in process.

`python -m benchmarks.startup` prints the figures as JSON; it is run by `sections.from_the_start`.
"""

import asyncio
import json
import resource
import time
from statistics import median
from typing import Any

from pydantic import create_model

from sqlmodelkit import Plan

from .contenders import sqlmodelkit_routers as contender
from .sections import MODELS, REQUESTS
from .tables import Hero, PowerPublic, TeamPublic

_WARM = 5_000
_PATHS = {
    "one flat row": "/heroes/7",
    "flat list of 100": "/flat-heroes?limit=100",
    "100 heroes with team and powers": "/nested-heroes?limit=100",
    "20 teams with about 20 heroes each": "/teams?limit=20",
}


def main() -> None:
    """Measure and print."""
    print(json.dumps(asyncio.run(_measure())))


async def _measure() -> dict[str, Any]:
    app = contender.app
    found: dict[str, Any] = {"compiling_s": _compile()}
    async with app.router.lifespan_context(app):
        found["first_ms"] = {title: await _first(path) for title, path in _PATHS.items()}
        for _ in range(_WARM):
            await _ask("/heroes/7")
        before = _memory()
        for number in range(REQUESTS):
            await _ask("/nested-heroes?limit=2" if number % 10 == 0 else "/heroes/7")
        found["growth_mb"] = _memory() - before
    return found


def _compile() -> float:
    """Return the seconds that it takes to make plans of response models, SQL and printer too."""
    models = [
        create_model(
            f"Shown{number}",
            id=(int, ...),
            name=(str, ...),
            team=(TeamPublic | None, ...),
            powers=(list[PowerPublic], ...),
        )
        for number in range(MODELS)
    ]
    start = time.perf_counter()
    for model in models:
        plan = Plan.of(Hero, model)
        plan.dump([])
        plan.fetch.build([], ())
    return time.perf_counter() - start


async def _first(path: str) -> float:
    """Return by how many milliseconds the first request is slower than later ones."""
    start = time.perf_counter()
    await _ask(path)
    first = time.perf_counter() - start
    later = []
    for _ in range(100):
        start = time.perf_counter()
        await _ask(path)
        later.append(time.perf_counter() - start)
    return (first - median(later)) * 1000


async def _ask(path: str) -> None:
    path, _, query = path.partition("?")
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET",
        "scheme": "http", "path": path, "raw_path": path.encode(), "root_path": "",
        "query_string": query.encode(), "headers": [(b"host", b"x")],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "state": {},
    }  # fmt: skip
    statuses = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await contender.app(scope, receive, send)
    if statuses != [200]:
        raise RuntimeError(f"{path} was answered with {statuses}.")


def _memory() -> float:
    """Return the most memory that the process has ever had, in megabytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
