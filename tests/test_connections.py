"""Connections: missing drivers, and files that other programs hold."""

import asyncio
import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest

from sqlmodelkit import Database, DatabaseSettings
from sqlmodelkit.errors import ConfigError, Unavailable


@pytest.mark.parametrize(
    ("url", "driver", "extra"),
    [
        ("postgresql://127.0.0.1/shop", "asyncpg", "postgres"),
        ("mysql://127.0.0.1/shop", "asyncmy", "mysql"),
        ("mysql+aiomysql://127.0.0.1/shop", "aiomysql", "aiomysql"),
    ],
)
def test_a_missing_driver_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, url: str, driver: str, extra: str
) -> None:
    """The extra that brings it."""
    monkeypatch.setitem(sys.modules, driver, None)
    with pytest.raises(ConfigError, match=rf"{driver}.*Install sqlmodelkit\[{extra}\]"):
        Database(url)


def watched_sockets() -> int:
    """Count the sockets that the event loop reads."""
    loop: Any = asyncio.get_running_loop()
    return len(loop._selector.get_map())


@pytest.mark.slow
async def test_a_cancelled_connect_leaves_no_socket_behind(any_driver_url: str) -> None:
    """Whenever it is cancelled: what comes of it is closed, with or without a pool."""
    database = Database(any_driver_url)
    await database.ping()
    await database.close()
    before = watched_sockets()
    for number in range(120):
        task = asyncio.create_task(database.ping())
        await asyncio.sleep(number % 40 * 0.0002)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await database.close()
    async with asyncio.timeout(5):
        while watched_sockets() > before:  # noqa: ASYNC110 - nothing tells when a socket is closed
            await asyncio.sleep(0.02)
    assert 0 == database.pool_status()["open"]


def hold(path: Path) -> sqlite3.Connection:
    """Lock a file that is not yet in WAL mode, as another program that has just started would."""
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("CREATE TABLE held (id INTEGER)")
    holder.execute("BEGIN EXCLUSIVE")
    return holder


async def test_the_switch_to_wal_waits_for_other_programs(tmp_path: Path) -> None:
    """Several that start together all get there."""
    path = tmp_path / "shared.db"
    holder = hold(path)
    database = Database(settings=DatabaseSettings(url=f"sqlite:///{path}", lock_timeout=0.01))
    waiting = asyncio.create_task(database.ping())
    await asyncio.sleep(0.2)
    assert not waiting.done()
    holder.execute("COMMIT")
    assert "sqlite" == (await waiting).dialect
    await database.close()
    holder.close()


@pytest.mark.slow
async def test_the_switch_to_wal_does_not_wait_for_ever(tmp_path: Path) -> None:
    """It ends as an error after which one may try again."""
    path = tmp_path / "held.db"
    holder = hold(path)
    database = Database(settings=DatabaseSettings(url=f"sqlite:///{path}", lock_timeout=0.01))
    async with asyncio.timeout(20):
        with pytest.raises(Unavailable):
            await database.ping()
    holder.execute("COMMIT")
    assert "sqlite" == (await database.ping()).dialect
    await database.close()
    holder.close()
