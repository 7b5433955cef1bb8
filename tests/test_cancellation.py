"""What is not to be cut in the middle: it ends first, whoever cancels it and however often."""

import asyncio
from collections.abc import Awaitable, Callable

import anyio
import pytest

from sqlmodelkit import cancellation
from sqlmodelkit.cancellation import whole


class Work:
    """Something that takes its time; what became of it can be asked."""

    def __init__(self, *, fails: bool = False, lasts: bool = False) -> None:
        self.began, self.go_on = asyncio.Event(), asyncio.Event()
        self.fails, self.lasts = fails, lasts
        self.ended = ""

    async def __call__(self) -> str:
        """Wait until it may go on, and end as told."""
        self.began.set()
        try:
            await (asyncio.Event() if self.lasts else self.go_on).wait()
        except asyncio.CancelledError:
            self.ended = "cut"
            raise
        self.ended = "whole"
        if self.fails:
            raise ZeroDivisionError
        return "result"


async def cancelled(work: Work, times: int) -> "asyncio.Task[str]":
    """Start a task with such work and cancel it some times before the work may go on."""
    task = asyncio.create_task(whole(work()))
    await work.began.wait()
    for _ in range(times):
        task.cancel()
        await asyncio.sleep(0)
    work.go_on.set()
    await asyncio.wait([task])
    return task


async def test_without_a_cancellation_it_is_awaited() -> None:
    """The result is its own, and so is the exception."""
    work, failing = Work(), Work(fails=True)
    work.go_on.set()
    failing.go_on.set()
    assert "result" == await whole(work())
    with pytest.raises(ZeroDivisionError):
        await whole(failing())


@pytest.mark.parametrize("times", [1, 2, 50])
@pytest.mark.parametrize("fails", [False, True])
async def test_it_ends_before_the_cancellation_goes_on(times: int, fails: bool) -> None:
    """One cancellation or many: whoever cancels gets what was asked for, a moment later."""
    work = Work(fails=fails)
    task = await cancelled(work, times)
    assert ("whole", True) == (work.ended, task.cancelled())


async def test_what_hangs_is_cut_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the time of grace; more cancellations shorten nothing."""
    monkeypatch.setattr(cancellation, "GRACE_SECONDS", 0.05)
    work = Work(lasts=True)
    async with asyncio.timeout(5):
        task = await cancelled(work, 2)
    assert ("cut", True) == (work.ended, task.cancelled())


async def test_a_late_cancellation_comes_with_the_next_wait() -> None:
    """Until then the task has its result and goes on, as code must that cannot raise."""
    work, steps = Work(), list[str]()

    async def go() -> None:
        steps.append(await whole(work(), late=True))
        await asyncio.sleep(0)
        steps.append("never")

    task = asyncio.create_task(go())
    await work.began.wait()
    task.cancel()
    await asyncio.sleep(0)
    work.go_on.set()
    await asyncio.wait([task])
    assert (["result"], True) == (steps, task.cancelled())


async def limited_by_asyncio(work: Work) -> None:
    """Do it within 10 ms."""
    async with asyncio.timeout(0.01):
        await whole(work())


async def limited_by_anyio(work: Work) -> None:
    """Do it within 10 ms; AnyIO cancels again and again until the block has been left."""
    with anyio.fail_after(0.01):
        await whole(work())


@pytest.mark.parametrize("limited", [limited_by_asyncio, limited_by_anyio])
async def test_a_limit_in_time_is_kept_late(limited: Callable[[Work], Awaitable[None]]) -> None:
    """It raises its own error when the work has ended, and cancels nothing after that."""
    work = Work()
    asyncio.get_running_loop().call_later(0.05, work.go_on.set)
    with pytest.raises(TimeoutError):
        await limited(work)
    assert "whole" == work.ended
    await asyncio.sleep(0)
