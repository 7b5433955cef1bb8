"""Fills a database with the benchmark's rows: the same ones on every machine."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Table, insert, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlmodel import SQLModel

from .tables import Hero, HeroPower, Power, Team

TEAMS = 1_000
HEROES = 20_000
POWERS = 50

SEED = 7

_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
_BATCH = 5_000


async def seed(url: str) -> None:
    """Make the tables and their rows; the keys count up from 1."""
    engine = create_async_engine(url)
    is_sqlite = engine.dialect.name == "sqlite"
    try:
        async with engine.connect() as connection:
            if is_sqlite:
                # A property of the file, and what every contender then works with.
                await connection.execute(text("PRAGMA journal_mode = WAL"))
        async with engine.begin() as connection:
            await connection.run_sync(SQLModel.metadata.create_all)
            for model, rows in _rows().items():
                await _insert(connection, model, rows)
            if not is_sqlite:
                # Writes are cleaned up between measurements, not during one.
                for model in (Hero, HeroPower):
                    table = _table(model).name
                    await connection.execute(
                        text(f"ALTER TABLE {table} SET (autovacuum_enabled = false)")
                    )
    finally:
        await engine.dispose()


def hero_rows(dice: random.Random) -> list[dict[str, Any]]:
    """Return the heroes; the first has the key 1."""
    return [
        {
            "name": f"Hero {dice.choice('ABCDEFGH')}{number:05}",
            "secret_name": f"Person number {number}",
            "age": None if dice.random() < 0.1 else dice.randint(18, 90),
            "team_id": None if dice.random() < 0.02 else dice.randint(1, TEAMS),
            # Every other time has a fraction of a second, which is printed in another way.
            "created_at": _EPOCH + timedelta(seconds=number, microseconds=number % 2 * number),
        }
        for number in range(1, HEROES + 1)
    ]


def _rows() -> dict[type[SQLModel], list[dict[str, Any]]]:
    dice = random.Random(SEED)
    heroes = hero_rows(dice)
    links = [
        {"hero_id": hero, "power_id": power}
        for hero in range(1, HEROES + 1)
        for power in sorted(dice.sample(range(1, POWERS + 1), dice.randint(1, 5)))
    ]
    return {
        Team: [
            {"name": f"Team {number}", "headquarters": f"Tower {number} Straße"}
            for number in range(1, TEAMS + 1)
        ],
        Power: [{"name": f"Power {number}"} for number in range(1, POWERS + 1)],
        Hero: heroes,
        HeroPower: links,
    }


async def _insert(
    connection: AsyncConnection, model: type[SQLModel], rows: list[dict[str, Any]]
) -> None:
    for start in range(0, len(rows), _BATCH):
        await connection.execute(insert(_table(model)), rows[start : start + _BATCH])


def _table(model: type[SQLModel]) -> Table:
    table: Table = model.__table__  # type: ignore[attr-defined]
    return table
