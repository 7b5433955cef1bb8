"""What happens when two meet: nothing is lost, and nothing is done twice unasked."""

import asyncio

import httpx2
import pytest

from sqlmodelkit import (
    AsyncSession,
    ConfigError,
    Database,
    Retry,
    SerializationFailure,
    StaleVersion,
)
from tests.conformance.guarding import guards
from tests.world import VolumeCreate, VolumeService, VolumeUpdate, add_volume


@guards(
    "Rows are locked in the order of the arguments: two transfers there and back lock each other "
    "out.",
    seen_in="recipes",
)
async def test_rows_are_locked_in_one_order(world: Database) -> None:
    """Whatever the order asked, which is the order of the answer."""
    keys = [await add_volume(world, str(number)) for number in range(6)]

    async def transfer(order: list[int]) -> None:
        async with world.transaction() as session:
            rows = await VolumeService(session).get_many(order, lock=True)
            assert order == [row.id for row in rows]
            await asyncio.sleep(0.001)
            rows[0].shelf -= 1
            rows[-1].shelf += 1

    turns = [keys, keys[::-1], [*keys[3:], *keys[:3]]]
    await asyncio.gather(*(transfer(turns[number % 3]) for number in range(30)))
    async with world.session() as session:
        found = await VolumeService(session).get_many(keys)
    assert [0, 0, 10, -10, 0, 0] == [row.shelf for row in found]


@guards("Every exception is a reason to try again, permanent ones too.", seen_in="recipes")
@guards("A retry goes on in the session that has failed.", seen_in="recipes")
async def test_only_meetings_are_done_again(world: Database) -> None:
    """In a fresh session each time."""
    sessions: list[AsyncSession] = []

    async def broken(session: AsyncSession) -> None:
        sessions.append(session)
        raise ValueError("no")

    async def meeting(session: AsyncSession) -> int:
        sessions.append(session)
        if len(sessions) < 4:
            raise SerializationFailure
        return len(sessions)

    with pytest.raises(ValueError, match="no"):
        await world.run(broken)
    assert 1 == len(sessions)
    assert 4 == await world.run(meeting, retry=Retry(attempts=5, seconds=5))
    assert 4 == len({id(session) for session in sessions})


@guards("A transaction is called serializable, and its isolation is never set.", seen_in="recipes")
@guards(
    "A balance is checked in Python and written back: two who pay at once pay one time.",
    seen_in="recipes",
)
async def test_serializable_is_serializable(world: Database) -> None:
    """Read, decide, write: by many at once, and nothing is lost."""
    key = await add_volume(world, stars=0)

    async def count(session: AsyncSession) -> None:
        row = await VolumeService(session).get(key)
        row.stars = (row.stars or 0) + 1

    async def run() -> None:
        await world.run(count, isolation="SERIALIZABLE", retry=Retry(attempts=100, seconds=60))

    await asyncio.gather(*(run() for _ in range(8)))
    async with world.session() as session:
        assert 8 == (await VolumeService(session).get(key)).stars


@guards(
    "There is neither a version nor an ETag that a client could send back.", seen_in="all of them"
)
async def test_a_client_cannot_overwrite_what_it_has_not_seen(
    world: Database, client: httpx2.AsyncClient
) -> None:
    """By If-Match over HTTP, by the version in Python."""
    key = await add_volume(world)
    tag = (await client.get(f"/volumes/{key}")).headers["ETag"]
    path, headers = f"/volumes/{key}", {"If-Match": tag}
    answers = await asyncio.gather(
        *(client.patch(path, json={"title": str(n)}, headers=headers) for n in range(5))
    )
    assert [200, 412, 412, 412, 412] == sorted(answer.status_code for answer in answers)
    assert 412 == (await client.delete(path, headers=headers)).status_code
    async with world.transaction() as session:
        with pytest.raises(StaleVersion):
            await VolumeService(session).update(key, VolumeUpdate(title="x"), version=1)


@guards("Messages are sent before the commit, or although it failed.", seen_in="recipes")
async def test_hooks_run_after_a_durable_commit(world: Database) -> None:
    """And not after a rollback."""
    seen: list[int] = []

    async def look() -> None:
        async with world.session() as session:
            seen.append(await VolumeService(session).count())

    async def write(*, fail: bool) -> None:
        async with world.transaction() as session:
            session.after_commit(look)
            await VolumeService(session).create_many([])
            await VolumeService(session).create(VolumeCreate(title="a"))
            if fail:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await write(fail=True)
    await write(fail=False)
    assert [1] == seen


@guards("One session is shared by two tasks, and fails or mixes up their rows.", seen_in="recipes")
async def test_two_tasks_in_one_session_are_told(world: Database) -> None:
    """By an error that says so, at once."""
    key = await add_volume(world)
    async with world.transaction() as session:
        volumes = VolumeService(session)
        found = await asyncio.gather(volumes.get(key), volumes.get(key), return_exceptions=True)
    refused = [one for one in found if isinstance(one, ConfigError)]
    assert ["Two tasks use one session at once"] == [str(one)[:33] for one in refused]
