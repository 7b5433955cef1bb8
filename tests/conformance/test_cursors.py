"""Pages that follow a row lose none, and a wrong cursor is the client's mistake."""

import httpx2
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from sqlmodelkit import CursorError, Database, events
from sqlmodelkit.fastapi import crud_router, install
from tests.conformance.guarding import guards
from tests.fastapi.conftest import client_of
from tests.world import Volume, VolumePublic, VolumeService, like

SECRET = SecretStr("s" * 40)


async def fill(database: Database) -> None:
    """Store 40 volumes: few values to sort by, some of them zero and NULL."""
    async with database.transaction() as session:
        session.add_all(
            [
                Volume(title=str(number), stars=(None, 0, 1)[number % 3], weight=number % 2 or None)
                for number in range(40)
            ]
        )


@guards(
    "A cursor over a column with equal values loses rows: five of nine were seen.",
    seen_in="FastCRUD, fastapi-pagination, fastkit-core",
)
@guards("A cursor whose value is 0 counts as none, and the walk never ends.", seen_in="FastCRUD")
@guards(
    "Columns that may be NULL cannot be sorted by, or lose their rows.",
    seen_in="FastSQLA, fastapi-pagination",
)
@guards("Without a sort a page by cursor is a 500.", seen_in="fastapi-pagination")
@pytest.mark.parametrize("sort", ["stars", "-stars", "stars,-weight", "-weight,stars", "", None])
async def test_a_walk_meets_every_row_once(world: Database, sort: str | None) -> None:
    """There and back, while others add and remove."""
    await fill(world)
    async with like(world, cursor_secret=SECRET) as db:
        async with db.session() as session:
            volumes = VolumeService(session)
            if sort == "":
                sort = "-id"
            quiet = await volumes.cursor_page(sort=sort, limit=100, into=VolumePublic)
            expected = [item.id for item in quiet.items]
            assert {row.id for row in await volumes.all()} == set(expected)
        walked: list[int] = []
        cursor = previous = None
        for number in range(30):
            async with db.transaction() as session:
                volumes = VolumeService(session)
                page = await volumes.cursor_page(
                    sort=sort, limit=3, cursor=cursor, into=VolumePublic
                )
                walked += [item.id for item in page.items]
                previous, cursor = page.previous, page.next
                session.add(Volume(title=f"new {number}", stars=number % 2))
            if cursor is None:
                break
        assert cursor is None
        assert previous is not None
        assert expected == [key for key in walked if key <= 40]
        assert len(set(walked)) == len(walked)


@guards("A forged cursor is a 500.", seen_in="fastapi-pagination")
@guards("A cursor of another list is taken, and answers something.", seen_in="fastapi-pagination")
async def test_a_wrong_cursor_is_422(world: Database) -> None:
    """Altered, of another sort, or of another filter."""
    await fill(world)
    async with like(world, cursor_secret=SECRET) as db:
        app = FastAPI()
        install(app, db)
        router = crud_router(VolumeService, public=True, pages="cursor")
        app.include_router(router, prefix="/volumes")
        async with client_of(app, raising=False) as client:
            first = (await client.get("/volumes?sort=stars&limit=2")).json()
            cursor = first["next"]
            wrong: list[dict[str, str]] = [
                {"sort": "stars", "cursor": "forged"},
                {"sort": "stars", "cursor": cursor[:-2]},
                {"sort": "-stars", "cursor": cursor},
                {"sort": "stars", "stars__gte": "0", "cursor": cursor},
            ]
            for query in wrong:
                answer: httpx2.Response = await client.get("/volumes", params=query)
                assert 422 == answer.status_code
                assert ["query", "cursor"] == answer.json()["detail"][0]["loc"]
            for right in ({"sort": "stars", "cursor": cursor}, {}):
                assert 200 == (await client.get("/volumes", params=right)).status_code
        async with db.session() as session:
            with pytest.raises(CursorError):
                await VolumeService(session).cursor_page(cursor=cursor)


@guards("A cursor needs the sorted column in the answer, and shows its values.", seen_in="FastCRUD")
async def test_a_cursor_tells_nothing(world: Database) -> None:
    """Not the values, and not by sorting differently with the row's number."""
    async with world.transaction() as session:
        session.add_all([Volume(title=title) for title in ("hidden-one", "hidden-two")])
    async with like(world, cursor_secret=SECRET) as db, db.transaction() as session:
        await session.connection()
        with events.recording(db.engine.sync_engine) as seen:
            page = await VolumeService(session).cursor_page(
                sort="title", limit=1, into=VolumePublic
            )
        assert page.next is not None
        assert "hidden" not in page.next
        assert not any("count(" in event.statement.lower() for event in seen)
