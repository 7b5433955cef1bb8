"""Units of work by the thousand, cancelled wherever they happen to be, and what is left of them.

    python -m tests.storm --url mysql+aiomysql://root@127.0.0.1/storm --units 10000

The database has to be empty, and every table of world.py is made in it. The end is 0 when nothing
was left behind. What libraries have to say goes to standard error. Start at `Storm`.
"""

import argparse
import asyncio
import gc
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic

from sqlalchemy import func, text
from sqlmodel import select

from sqlmodelkit import AsyncSession, Database, DatabaseSettings
from tests.world import (
    Chapter,
    Volume,
    VolumeCreate,
    VolumeDetail,
    VolumePublic,
    VolumeService,
    VolumeUpdate,
    VolumeWithChapters,
    add_writer,
    create_world,
    is_mariadb,
    is_postgresql,
)

AT_ONCE = 24
WITHIN = 600.0
HELD_AT_MOST = 10


class Regretted(Exception):
    """What a unit of work raises that shall be rolled back."""


@dataclass
class Ledger:
    """What became of each unit of work, as the one that asked for it was told."""

    done: set[int] = field(default_factory=set)
    cancelled: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)
    followed: set[int] = field(default_factory=set)
    kinds: dict[int, str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


class Storm:
    """Runs units of work of every kind, cancels most of them, and reckons what is left.

    A unit that writes stores one volume, whose number is the unit's, with two chapters: fewer are
    a unit of work that was torn apart.
    """

    def __init__(self, database: Database, *, units: int, seed: int) -> None:
        self.database = database
        self.units = units
        self.chance = random.Random(seed)  # noqa: S311 - the same chances each time
        self.ledger = Ledger()
        self.usual = dict.fromkeys(self.kinds, 0.01)
        self.known: dict[int, str] = {}

    @property
    def kinds(self) -> dict[str, Callable[[int], Awaitable[None]]]:
        """What a unit of work can be, by name."""
        return {
            "transaction": self.transaction,
            "unit": self.unit,
            "session": self.session,
            "run": self.run_again,
            "lone": self.lone,
            "regretted": self.regretted,
            "savepoint": self.savepoint,
            "reading": self.reading,
            "rows": self.rows,
            "isolated": self.isolated,
            "stream": self.stream,
            "locked": self.locked,
        }

    async def blow(self) -> None:
        """Run all units of work, so many at once."""
        await add_writer(self.database, volumes=30)
        async with self.database.session() as session:
            volumes = (await session.exec(select(Volume))).all()
            self.known = {volume.id or 0: volume.title for volume in volumes}
        numbers = iter(range(1, self.units + 1))

        async def some() -> None:
            for number in numbers:
                await self.cancel_one(number)

        async with asyncio.timeout(WITHIN), asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(some())

    async def cancel_one(self, number: int) -> None:
        """Begin a unit of work, cancel it at some moment of its life, and note what it says."""
        kind = self.chance.choice(list(self.kinds))
        self.ledger.kinds[number] = kind
        begun = monotonic()
        task = asyncio.ensure_future(self.kinds[kind](number))
        cancels = self.chance.random() < 0.8
        if cancels:
            await asyncio.wait([task], timeout=self.chance.random() * self.usual[kind] * 1.2)
            await self.cancel(task)
        await asyncio.wait([task])
        if task.cancelled():
            self.ledger.cancelled.add(number)
        elif (error := task.exception()) is None:
            self.ledger.done.add(number)
            if not cancels:
                taken = monotonic() - begun
                self.usual[kind] += (taken - self.usual[kind]) / 10
        elif isinstance(error, Regretted):
            self.ledger.refused.add(number)
        else:
            self.ledger.wrong.append(f"{kind} {number} raised {error!r}")

    async def cancel(self, task: "asyncio.Future[None]") -> None:
        """Cancel a task once, twice, or until it ends, as the scopes of AnyIO do."""
        task.cancel()
        match self.chance.randrange(10):
            case 0:
                await asyncio.wait([task], timeout=self.chance.random() * 0.005)
                task.cancel()
            case 1:
                while not task.done():
                    await asyncio.sleep(0)
                    task.cancel()

    def volume(self, number: int) -> Volume:
        """Return the volume of a unit of work."""
        return Volume(title=f"{number}", shelf=number)

    def one_of(self, number: int) -> tuple[int, str]:
        """Return key and title of a volume that has been there from the beginning."""
        return list(self.known.items())[number % len(self.known)]

    async def write(self, session: AsyncSession, number: int) -> None:
        """Store the rows of a unit of work, in two steps."""
        volume = self.volume(number)
        session.add(volume)
        await session.flush()
        session.add_all([Chapter(volume_id=volume.id or 0, number=n) for n in (1, 2)])
        session.after_commit(lambda: self.ledger.followed.add(number))

    async def transaction(self, number: int) -> None:
        """Write in a transaction."""
        async with self.database.transaction() as session:
            await self.write(session, number)

    async def unit(self, number: int) -> None:
        """Write and read by services, in a unit of work as of a request."""
        async with self.database.unit() as unit:
            volumes = VolumeService(unit)
            data = VolumeCreate(title=f"{number}", shelf=number)
            created = await volumes.create(data, into=VolumePublic)
            expect(f"{number}", (await volumes.get(created.id, into=VolumeDetail)).title)
            await volumes.update(created.id, VolumeUpdate(stars=1))
            session = unit.session
            session.add_all([Chapter(volume_id=created.id, number=n) for n in (1, 2)])
            unit.after_commit(lambda: self.ledger.followed.add(number))

    async def session(self, number: int) -> None:
        """Undo something, then write, and commit by hand."""
        async with self.database.session() as session:
            session.add(self.volume(-2))
            await session.flush()
            await session.rollback()
            await self.write(session, number)
            await session.commit()

    async def run_again(self, number: int) -> None:
        """Write in a unit of work that may be done again."""
        await self.database.run(lambda session: self.write(session, number))

    async def lone(self, number: int) -> None:
        """Write one row by the only statement of a unit of work."""
        data = VolumeCreate(title="lone", shelf=number)
        async with self.database.unit() as unit:
            await VolumeService(unit).create_json(data, into=VolumePublic, last=True)

    async def regretted(self, number: int) -> None:
        """Write, and think better of it."""
        async with self.database.transaction() as session:
            await self.write(session, number)
            await session.flush()
            raise Regretted

    async def savepoint(self, number: int) -> None:
        """Write after a part that was undone by itself."""
        async with self.database.transaction() as session:
            try:
                async with session.savepoint():
                    session.add(self.volume(-2))
                    await session.flush()
                    raise Regretted  # noqa: TRY301 - the block is to raise
            except Regretted:
                await self.write(session, number)

    async def reading(self, number: int) -> None:
        """Read by response models, each statement on its own."""
        async with self.database.unit(reading=True) as unit:
            volumes = VolumeService(unit)
            key, title = self.one_of(number)
            found = await volumes.get(key, into=VolumeWithChapters)
            expect([title, key, key], [found.title, *(c.volume_id for c in found.chapters)])
            page = await volumes.page(into=VolumePublic, limit=1, id=key)
            expect([title], [volume.title for volume in page.items])
            expect(0, await volumes.count(shelf=number))

    async def rows(self, number: int) -> None:
        """Read table rows in a session."""
        async with self.database.session() as session:
            volumes = VolumeService(session)
            key, title = self.one_of(number)
            found = await volumes.get(key, load=["chapters", "writer"])
            expect([title, key, key], [found.title, *(c.volume_id for c in found.chapters)])
            others = await volumes.all(id__in=list(self.known), load=["genres"])
            expect(set(self.known.values()), {other.title for other in others})

    async def isolated(self, number: int) -> None:
        """Read in a transaction of another kind."""
        async with self.database.transaction(
            isolation="REPEATABLE READ", read_only=True
        ) as session:
            key, title = self.one_of(number)
            expect(1, await VolumeService(session).count(id=key))
            expect(title, (await VolumeService(session).get(key, into=VolumeDetail)).title)

    async def stream(self, number: int) -> None:
        """Read batches, and leave before the end."""
        async with self.database.unit(reading=True) as unit:
            rows = VolumeService(unit).stream(into=VolumePublic, batch=5, sort="id")
            keys = []
            async for row in rows:
                keys.append(row.id)
                if len(keys) == 20:
                    break
            expect(sorted(self.known)[:20], keys)

    async def locked(self, number: int) -> None:
        """Write under a named lock that lasts longer than the unit of work."""
        async with self.database.advisory_lock(f"{number % 3}"):
            await self.transaction(number)

    async def reckon(self) -> list[str]:
        """Say what is not as it has to be."""
        database, ledger = self.database, self.ledger
        wrong = list(ledger.wrong)
        in_use = database.pool_status()["in_use"]
        if in_use:
            wrong.append(f"{in_use} connections are in use")
        wrong += await self._left_on_the_server()
        async with asyncio.timeout(HELD_AT_MOST):
            await self.transaction(0)
        ledger.followed.discard(0)
        async with database.session() as session:
            stored = dict((await session.exec(_PARTS)).all())
        for number, parts in stored.items():
            if parts != (0 if ledger.kinds[number] == "lone" else 2):
                wrong.append(f"{ledger.kinds[number]} {number} is stored with {parts} of 2 parts")
        writing = {n for n, kind in ledger.kinds.items() if kind in _WRITERS}
        for fault, numbers in {
            "report success without their rows": (ledger.done & writing) - set(stored),
            "are stored though they did not commit": set(stored) - writing,
            "are stored though they were refused": set(stored) & ledger.refused,
            "are stored and what follows was not called": {
                n for n in stored if ledger.kinds[n] != "lone"
            }
            - ledger.followed,
            "are not stored and what follows was called": ledger.followed - set(stored),
        }.items():
            if numbers:
                wrong.append(f"{len(numbers)} units of work {fault}: {sorted(numbers)[:5]}")
        return wrong

    async def _left_on_the_server(self) -> list[str]:
        """Say which transactions the server has open though nobody is in one."""
        database = self.database
        if is_postgresql(database):
            question = (
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                "AND pid <> pg_backend_pid() AND state <> 'idle'"
            )
        elif is_mariadb(database):
            question = (
                "SELECT count(*) FROM information_schema.innodb_trx t JOIN "
                "information_schema.processlist p ON p.id = t.trx_mysql_thread_id "
                "WHERE p.db = database() AND p.id <> connection_id()"
            )
        else:
            # A lock that somebody has left would let the next writer wait.
            return []
        give_up = monotonic() + HELD_AT_MOST
        while True:
            async with database.engine.connect() as connection:
                left = await connection.scalar(text(question))
            if not left:
                return []
            if monotonic() > give_up:
                return [f"{left} transactions are open on the server"]
            # The server notices a closed connection a moment later.
            await asyncio.sleep(0.05)


def expect(right: object, answer: object) -> None:
    """Refuse an answer that somebody else has asked for."""
    if right != answer:
        raise AssertionError(f"{answer} is no answer; {right} is")


_WRITERS = {"transaction", "unit", "session", "run", "lone", "savepoint", "locked"}
_PARTS = (
    select(Volume.shelf, func.count(Chapter.number))  # type: ignore[arg-type]
    .join(Chapter, isouter=True)
    .where(Volume.shelf > 0)
    .group_by(Volume.shelf)  # type: ignore[arg-type]
)


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Database]:
    """Open an empty database with the tables of world.py; then close it and tidy up."""
    settings = DatabaseSettings(url=url, cursor_secret="s" * 32, pool_size=4, max_overflow=8)
    database = await create_world(Database(settings=settings))
    try:
        yield database
    finally:
        await database.close()
        gc.collect()
        # aiosqlite's threads report their end to the loop.
        await asyncio.sleep(0.1)


async def storm(url: str, *, units: int, seed: int) -> tuple[str, list[str]]:
    """Let a storm blow over an empty database; say what happened, and what is wrong."""
    begun = monotonic()
    async with opened(url) as database:
        blowing = Storm(database, units=units, seed=seed)
        await blowing.blow()
        wrong = await blowing.reckon()
        ledger = blowing.ledger
        counts = Counter(ledger.kinds[number] for number in ledger.cancelled)
        cancelled = ", ".join(f"{kind} {counts[kind]}" for kind in blowing.kinds)
    seconds, driver = monotonic() - begun, database.engine.dialect.driver
    return f"{driver}: {units} units of work in {seconds:.1f} s; cancelled {cancelled}", wrong


def main() -> int:
    """Let it blow as asked on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--url", required=True, help="an empty database")
    parser.add_argument("--units", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=7)
    asked = parser.parse_args()
    told, wrong = asyncio.run(storm(asked.url, units=asked.units, seed=asked.seed))
    sys.stdout.write("\n".join([told, *wrong, ""]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
