"""What type checkers and editors know about databases. Checked by mypy and pyright, never run."""

from collections.abc import Sequence
from typing import assert_type

from sqlmodel import select

from sqlmodelkit import AsyncSession, Database, DatabaseSettings, QueryEvent, ServerInfo
from tests.tables import Club, Skill


def a_database_is_made_in_several_ways(hooks: list[QueryEvent]) -> None:
    """From the environment, an address, or settings; with hooks."""
    assert_type(Database(), Database)
    assert_type(Database("sqlite://", hooks=[hooks.append]), Database)
    assert_type(Database(settings=DatabaseSettings(url="sqlite://", pool_size=3)), Database)


async def a_unit_of_work_gives_a_session(db: Database) -> None:
    """Of SQLModel, with its typed exec."""
    async with db.transaction() as session:
        assert_type(session, AsyncSession)
        async with session.savepoint():
            pass
        assert_type((await session.exec(select(Skill))).all(), Sequence[Skill])
        assert_type((await session.exec(select(Skill.name))).one(), str)
    async with db.session() as session:
        assert_type(session, AsyncSession)
    assert_type(await db.ping(), ServerInfo)


def mixins_give_their_fields(club: Club, skill: Skill) -> None:
    """A UUID is known at once, a number after the row was stored."""
    assert_type(club.id.version, int | None)
    assert_type(skill.id, int | None)
    assert_type(club.created_at.isoformat(), str)
