"""What is not to be cut in the middle, whoever cancels it and however often. Ring 0.

Nothing here knows a database. Start at `whole`.
"""

import asyncio
from collections.abc import Coroutine
from time import monotonic
from typing import Any, TypeVar

T = TypeVar("T")

GRACE_SECONDS = 10.0
"""How long something may go on after it was cancelled for the first time."""


async def whole(ending: Coroutine[Any, Any, T], *, late: bool = False) -> T:
    """Finish what must not be cut, and only then be cancelled.

    It is cancelled in the end when it takes longer than `GRACE_SECONDS` from the first time. More
    cancellations do not hurry it: the scopes of AnyIO repeat theirs until the task has ended.

    Args:
        ending: What is to be finished.
        late: Whether a cancellation comes with the next wait of the task: for code in which no
            exception may be raised.
    """
    loop = asyncio.get_running_loop()
    work = loop.create_task(ending)
    # As asyncio.shield does, which takes longer over it: this runs once for every commit.
    ended: asyncio.Future[None] = loop.create_future()

    def end(_: object) -> None:
        if not ended.done():
            ended.set_result(None)

    work.add_done_callback(end)
    try:
        await ended
    except asyncio.CancelledError:
        if not await _outwait(work) or not late:
            raise
        task = asyncio.current_task()
        if task is not None:
            task.uncancel()
            task.cancel()
    return work.result()


async def _outwait(work: asyncio.Future[Any]) -> bool:
    """Wait for work in spite of cancellations; tell whether it came to its own end."""
    end = monotonic() + GRACE_SECONDS
    while not work.done():
        left = end - monotonic()
        if left <= 0:
            work.cancel()
        try:
            await asyncio.wait([work], timeout=max(left, 0) or None)
        except asyncio.CancelledError:
            continue
    if work.cancelled():
        return False
    work.exception()  # else it would be reported as one that nobody has asked for
    return True
