"""Which line of the application is behind a call: for errors and logs that name it. Ring 0.

Start at `here` and `waiting_at`.
"""

import asyncio
import inspect
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import Any

import greenlet  # type: ignore[import-untyped] # it has no types

_LIBRARIES = frozenset(
    {
        *("asyncio", "contextlib", "sqlalchemy", "sqlmodel", "sqlmodelkit"),
        *("aiomysql", "aiosqlite", "asyncmy", "asyncpg"),
    }
)
_FRAMES = ("cr_frame", "ag_frame", "gi_frame")
_INNER = ("cr_await", "ag_await", "gi_yieldfrom")


def here() -> str:
    """Name the line of the application that is being run, and its function."""
    return _line(_running())


def waiting_at(task: asyncio.Task[Any]) -> str:
    """Name the line of the application at which another task waits, and its function."""
    return _line(reversed(list(_suspended(task.get_coro()))))


def _running() -> Iterator[FrameType]:
    """Yield the frames of this task, the innermost first, across SQLAlchemy's greenlets."""
    task: Any = asyncio.current_task()
    outermost = None if task is None else _first(task.get_coro(), _FRAMES)
    frame = inspect.currentframe()
    current: Any = greenlet.getcurrent()
    while frame is not None:
        yield frame
        if frame is outermost:
            return
        frame = frame.f_back
        if frame is None and current.parent is not None:
            current = current.parent
            frame = current.gr_frame


def _suspended(inner: Any) -> Iterator[FrameType]:
    """Yield the frames of a coroutine that waits, the outermost first."""
    while inner is not None:
        frame = _first(inner, _FRAMES)
        if frame is not None:
            yield frame
        inner = _first(inner, _INNER)


def _first(owner: Any, names: Iterable[str]) -> Any:
    found = (getattr(owner, name, None) for name in names)
    return next((value for value in found if value is not None), None)


def _line(frames: Iterable[FrameType]) -> str:
    """Name the innermost line that calls a library of ours; what is inside of it is another's."""
    inside, name = False, "a task that has ended"
    for frame in frames:
        library = frame.f_globals.get("__name__", "").partition(".")[0] in _LIBRARIES
        if inside and not library:
            return f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_qualname}"
        inside = inside or library
        name = f"a task of {frame.f_code.co_qualname}"
    # Such as `gather(service.get(1), ...)`: the task itself is the library's.
    return name
