"""One event for each statement, on a small synchronous engine."""

import dataclasses
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, create_engine, insert, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import StaticPool

from sqlmodelkit import Database
from sqlmodelkit.events import QueryEvent, listen, recording, slow_log
from tests.tables import FIXTURES


@pytest.fixture
def engine() -> Iterator[Engine]:
    """An in-memory database with one table."""
    made = create_engine("sqlite://", poolclass=StaticPool)
    FIXTURES.create(made)
    yield made
    made.dispose()


def test_each_statement_is_one_event(engine: Engine) -> None:
    """An event has the statement and the time it took."""
    events: list[QueryEvent] = []
    listen(engine, events.append)
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        connection.execute(text("SELECT 2"))
    assert [event.statement for event in events] == ["SELECT 1", "SELECT 2"]
    assert all(event.duration_ms > 0 for event in events)
    assert not any(event.many for event in events)


def test_an_event_counts_the_rows_that_were_changed(engine: Engine) -> None:
    """Rows of an UPDATE are counted; many parameter sets are one event."""
    with recording(engine) as events, engine.begin() as connection:
        connection.execute(insert(FIXTURES), [{"place": "Rome"}, {"place": "Oslo"}])
        connection.execute(text("UPDATE sport_fixture SET place = place || '!'"))
    assert [(event.rowcount, event.many) for event in events] == [(2, True), (2, False)]


def test_parameters_are_not_part_of_an_event(engine: Engine) -> None:
    """What users typed cannot reach a log by way of an event."""
    with recording(engine) as events, engine.begin() as connection:
        connection.execute(insert(FIXTURES), {"place": "a secret place"})
    assert len(events) == 1
    assert "a secret place" not in repr(events)


def test_a_hook_can_be_taken_off(engine: Engine) -> None:
    """After the answer of listen was called the hook hears nothing; others still do."""
    first: list[QueryEvent] = []
    second: list[QueryEvent] = []
    stop = listen(engine, first.append)
    listen(engine, second.append)
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        stop()
        connection.execute(text("SELECT 2"))
    assert [event.statement for event in first] == ["SELECT 1"]
    assert [event.statement for event in second] == ["SELECT 1", "SELECT 2"]


def test_every_hook_of_an_engine_gets_the_duration(engine: Engine) -> None:
    """Two hooks measure the same statement without taking the start from each other."""
    first: list[QueryEvent] = []
    second: list[QueryEvent] = []
    listen(engine, first.append)
    listen(engine, second.append)
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    assert first[0].duration_ms > 0
    assert second[0].duration_ms > 0


def test_a_hook_that_comes_late_has_no_start(engine: Engine) -> None:
    """A hook set while a statement runs reports it with a duration of nothing."""
    late: list[QueryEvent] = []

    def switch(first: str) -> None:
        listen(engine, late.append)

    with engine.connect() as connection:
        raw = connection.connection.dbapi_connection
        assert raw is not None
        raw.create_function("switch", 1, switch)
        connection.execute(text("SELECT switch('on')")).all()
        connection.execute(text("SELECT 1"))
    assert late[-1].statement == "SELECT 1"
    assert [event.duration_ms for event in late[:-1]] == [0.0]


def test_the_begin_of_sqlite_is_no_event(engine: Engine) -> None:
    """Statement counts are the same on every database: drivers begin transactions unseen."""
    with recording(engine) as events, engine.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        connection.execute(text("SELECT 1"))
    assert [event.statement for event in events] == ["SELECT 1"]


def test_a_statement_that_fails_is_no_event(engine: Engine) -> None:
    """An event is an answer; what was refused is an error, and the next event is right."""
    with recording(engine) as events, engine.connect() as connection:
        with pytest.raises(OperationalError):
            connection.execute(text("SELECT nothing"))
        connection.execute(text("SELECT 1"))
    assert [event.statement for event in events] == ["SELECT 1"]


def test_recording_ends_with_its_block(engine: Engine) -> None:
    """Also a block that raises stops the recording."""
    with pytest.raises(ZeroDivisionError), recording(engine) as events:
        raise ZeroDivisionError
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
    assert events == []


def test_an_event_cannot_be_changed() -> None:
    """All hooks see the same event."""
    event = QueryEvent("SELECT 1", 1.0, -1, many=False)
    with pytest.raises(dataclasses.FrozenInstanceError):
        event.statement = "SELECT 2"  # type: ignore[misc]


@pytest.mark.parametrize("over_ms", [0, 10_000])
async def test_slow_statements_are_logged_with_the_application_s_line(
    over_ms: float, caplog: pytest.LogCaptureFixture
) -> None:
    """And those that are quick enough are not."""
    db = Database("sqlite://", hooks=[slow_log(over_ms)])
    async with db.transaction() as session:
        await (await session.connection()).execute(text("SELECT :one"), {"one": 4711})
    await db.close()
    told = [record.getMessage() for record in caplog.records if record.name == "sqlmodelkit.slow"]
    if over_ms:
        assert [] == told
        return
    (line,) = [each for each in told if "SELECT ?" in each]
    assert f"{__file__}:" in line
    assert "in test_slow_statements_are_logged" in line
    assert "4711" not in line
