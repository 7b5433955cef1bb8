"""Many units of work at once: nothing is lost, nothing is given up, and deadlocks are no errors."""

import asyncio
import random

import pytest
from sqlmodel import SQLModel

from sqlmodelkit import AsyncSession, Database, Retry, ServiceBase
from tests.world import (
    Volume,
    VolumeCreate,
    VolumeService,
    add_volume,
    create_world,
    is_postgresql,
)

ACCOUNTS = 40
TASKS = 20
TRANSFERS = 100
BALANCE = 1000
PATIENT = Retry(attempts=1000, seconds=300, jitter=0.02)


class Balance(SQLModel):
    """What a transfer writes."""

    shelf: int


class AccountService(ServiceBase[Volume, VolumeCreate, Balance]):
    """Volumes as accounts: what is on the shelf is the balance."""


@pytest.fixture
async def world(database: Database) -> Database:
    """An open database with the tables of world.py."""
    return await create_world(database)


async def move(session: AsyncSession, giver: int, taker: int, amount: int) -> None:
    """Read two balances, and write what they are afterwards, as an application would."""
    accounts = AccountService(session)
    from_balance = (await accounts.get(giver)).shelf
    to_balance = (await accounts.get(taker)).shelf
    if from_balance >= amount:
        await accounts.update(giver, Balance(shelf=from_balance - amount))
        await accounts.update(taker, Balance(shelf=to_balance + amount))


@pytest.mark.slow
async def test_serializable_transfers_conserve_money(world: Database) -> None:
    """None of 2,000 is given up, and no balance is negative (100 where locks make them wait)."""
    turns = TRANSFERS if is_postgresql(world) else TRANSFERS // 20
    keys = [await add_volume(world, title=f"{n}", shelf=BALANCE) for n in range(ACCOUNTS)]
    done = 0

    async def transfer_some(number: int) -> None:
        nonlocal done
        chance = random.Random(number)  # noqa: S311 - the same transfers each time
        for _ in range(turns):
            giver, taker = chance.sample(keys, 2)
            amount = chance.randint(1, BALANCE // 2)

            async def transfer(
                session: AsyncSession, giver: int = giver, taker: int = taker, amount: int = amount
            ) -> None:
                await move(session, giver, taker, amount)

            await world.run(transfer, retry=PATIENT, isolation="SERIALIZABLE")
            done += 1

    async with asyncio.timeout(300), asyncio.TaskGroup() as group:
        for number in range(TASKS):
            group.create_task(transfer_some(number))
    async with world.session() as session:
        balances = [volume.shelf for volume in await VolumeService(session).get_many(keys)]
    assert TASKS * turns == done
    assert ACCOUNTS * BALANCE == sum(balances)
    assert min(balances) >= 0
    assert [BALANCE] * ACCOUNTS != balances
    assert 0 == world.pool_status()["in_use"]


async def test_those_who_lock_each_other_out_are_done_again(world: Database) -> None:
    """Each holds the row that the other one wants; both get both in the end."""
    one, two = [await add_volume(world, title=title) for title in ("one", "two")]
    held: dict[str, asyncio.Event] = {"there": asyncio.Event(), "back": asyncio.Event()}
    attempts = {"there": 0, "back": 0}

    async def lock_both(session: AsyncSession, name: str, other: str, keys: list[int]) -> None:
        attempts[name] += 1
        volumes = VolumeService(session)
        first: Volume = await volumes.get(keys[0], lock=True)
        held[name].set()
        if attempts[name] == 1 and session.bind.dialect.name != "sqlite":  # type: ignore[union-attr]
            # SQLite's writers queue as they begin: the other one has nothing yet.
            await held[other].wait()
        second: Volume = await volumes.get(keys[1], lock=True)
        first.shelf += 1
        second.shelf += 1

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for name, other, keys in (("there", "back", [one, two]), ("back", "there", [two, one])):

            async def work(
                session: AsyncSession,
                name: str = name,
                other: str = other,
                keys: list[int] = keys,
            ) -> None:
                await lock_both(session, name, other, keys)

            group.create_task(world.run(work, retry=PATIENT))
    async with world.session() as session:
        found = await VolumeService(session).get_many([one, two])
    assert [2, 2] == [volume.shelf for volume in found]
    assert (world.engine.dialect.name == "sqlite") == (sum(attempts.values()) == 2)
