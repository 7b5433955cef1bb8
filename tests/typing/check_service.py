"""What type checkers and editors know about services. Checked by mypy and pyright, never run."""

from typing import assert_type
from uuid import UUID

from sqlmodel import Field, SQLModel

from sqlmodelkit import (
    AsyncSession,
    Page,
    Plan,
    ServiceBase,
    UUIDKey,
    all_of,
    any_of,
    not_,
    where,
)
from sqlmodelkit.filters import Where


class HeroBase(SQLModel):
    """What a hero has."""

    name: str = Field(max_length=40)


class Hero(HeroBase, UUIDKey):
    """What is stored. No table: it would be made wherever this file is imported."""


class HeroCreate(HeroBase):
    """What comes in."""


class HeroUpdate(SQLModel):
    """What may change."""

    name: str | None = None


class HeroPublic(HeroBase):
    """What goes out."""

    id: UUID


class HeroService(ServiceBase[Hero, HeroCreate, HeroUpdate]):
    """The service under test."""

    public = HeroPublic


async def a_row_is_the_table_or_the_response(heroes: HeroService, key: UUID) -> None:
    """Without into= it is the table model, with it that response model."""
    assert_type(await heroes.get(key), Hero)
    assert_type(await heroes.get(key, load=["team"], lock=True), Hero)
    assert_type(await heroes.get(key, into=HeroPublic), HeroPublic)
    assert_type(await heroes.find(name="Ann"), Hero | None)
    assert_type(await heroes.find(where(name="Ann"), into=HeroPublic), HeroPublic | None)


async def rows_are_a_list_of_either(heroes: HeroService, keys: list[UUID]) -> None:
    """Lists and pages alike."""
    assert_type(await heroes.get_many(keys), list[Hero])
    assert_type(await heroes.get_many(keys, into=HeroPublic), list[HeroPublic])
    assert_type(await heroes.all(sort="-name", limit=3, name__like="A%"), list[Hero])
    assert_type(await heroes.all(into=HeroPublic, sort=["name"]), list[HeroPublic])
    assert_type(await heroes.page(limit=3, offset=6), Page[Hero])
    assert_type(await heroes.page(into=HeroPublic, count="none"), Page[HeroPublic])
    page = await heroes.page(into=HeroPublic)
    assert_type(page.items[0].id, UUID)
    assert_type(page.total, int | None)


async def numbers_are_numbers(heroes: HeroService) -> None:
    """Counting and asking."""
    assert_type(await heroes.count(name="Ann"), int)
    assert_type(await heroes.exists(any_of(where(name="A"), Hero.name == "B")), bool)


async def what_was_written_is_answered(heroes: HeroService, key: UUID) -> None:
    """As the table row, or as the response model that was asked for."""
    data, change = HeroCreate(name="Ann"), HeroUpdate(name="Bea")
    assert_type(await heroes.create(data), Hero)
    assert_type(await heroes.create(data, into=HeroPublic), HeroPublic)
    assert_type(await heroes.create_many([data]), list[Hero])
    assert_type(await heroes.create_many([data], into=HeroPublic), list[HeroPublic])
    assert_type(await heroes.update(key, change), Hero)
    assert_type(await heroes.update(key, change, into=HeroPublic), HeroPublic)
    assert_type(await heroes.restore(key), Hero)
    assert_type(await heroes.restore(key, into=HeroPublic), HeroPublic)
    await heroes.delete(key)


async def wrong_input_is_seen_before_it_runs(heroes: HeroService, key: UUID) -> None:
    """Each line has a mistake; an ignore that is not needed is an error of mypy."""
    await heroes.create(HeroUpdate(name="Ann"))  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await heroes.update(key, HeroCreate(name="Ann"))  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
    await heroes.page(count="perhaps")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]


def a_service_belongs_to_a_session(session: AsyncSession) -> None:
    """It is made from the session, and knows its models."""
    assert_type(HeroService(session), HeroService)
    assert_type(HeroService.plan(HeroPublic), Plan[HeroPublic])
    plan = Plan.of(Hero, HeroPublic)
    assert_type(plan.build({}), HeroPublic)


def filters_are_one_type() -> None:
    """They nest in each other."""
    assert_type(where(name="Ann"), Where)
    assert_type(not_(any_of(all_of(where(a=1)), where(b=2))), Where)
