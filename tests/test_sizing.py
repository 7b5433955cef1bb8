"""How many connections a pool needs."""

from math import exp, factorial

import pytest

from sqlmodelkit import ConfigError, Database
from sqlmodelkit.sizing import RARE, advise, server_limit, servers_for


def erlang_c(load: float, count: int) -> float:
    """Return the share that waits, by the formula as textbooks write it."""
    last = load**count / factorial(count) * count / (count - load)
    return last / (sum(load**n / factorial(n) for n in range(count)) + last)


@pytest.mark.parametrize("load", [0.01, 0.5, 1.0, 3.9, 12.0, 40.0])
def test_as_few_connections_as_let_hardly_anybody_wait(load: float) -> None:
    """One fewer, and more than one in a hundred requests would wait."""
    count = servers_for(load)
    assert erlang_c(load, count) <= RARE
    assert count == 1 or count - 1 <= load or erlang_c(load, count - 1) > RARE


def test_the_formula_counts_an_empty_queue() -> None:
    """Without load the share that waits is next to nothing, as the exponential says."""
    assert servers_for(0.0001) == 1
    assert exp(-0.0001) > 0.99


@pytest.mark.parametrize("number", [float("nan"), float("inf"), 1e12])
def test_numbers_without_sense_are_refused(number: float) -> None:
    """They would be reckoned with for ever."""
    with pytest.raises(ConfigError, match=r"rps is|keep 2\.6e"):
        advise(rps=number, latency_ms=2000, workers=1)
    with pytest.raises(ConfigError, match=r"headroom is|connections busy"):
        advise(rps=1, latency_ms=20, workers=1, headroom=number)


def test_advice_tells_its_reckoning() -> None:
    """Little's law, headroom, waiting, the server's limit, the verdict."""
    advice = advise(rps=300, latency_ms=20, workers=4, server_limit=100)
    assert (7, 4, 44, 90, 6.0, True) == (
        advice.pool_size,
        advice.max_overflow,
        advice.total,
        advice.usable,
        advice.busy,
        advice.fits,
    )
    assert "300 requests/s x 20 ms = 6 connections (Little's law)" in advice.reasons[0]
    assert "7 per worker" in advice.reasons[2]
    assert "It fits: at most 44 of 90" in advice.reasons[-1]


def test_what_the_server_does_not_allow_is_said() -> None:
    """The pools stay within the limit, and the advice says that this is too little."""
    advice = advise(rps=2000, latency_ms=100, workers=8, server_limit=100)
    assert not advice.fits
    assert advice.total <= advice.usable
    assert "PgBouncer" in advice.reasons[-1]


@pytest.mark.parametrize("workers", [1, 3, 16])
@pytest.mark.parametrize("rps", [1, 100, 1000])
def test_all_workers_together_stay_within_the_limit(rps: int, workers: int) -> None:
    """Whatever the load is."""
    advice = advise(rps=rps, latency_ms=15, workers=workers, server_limit=100)
    assert advice.total <= advice.usable
    assert advice.pool_size >= 1


@pytest.mark.parametrize("name", ["rps", "latency_ms", "workers", "server_limit"])
def test_numbers_have_to_make_sense(name: str) -> None:
    """Nothing is reckoned with zero."""
    numbers = {"rps": 10, "latency_ms": 10, "workers": 1, "server_limit": 100} | {name: 0}
    with pytest.raises(ConfigError, match=f"{name} is 0"):
        advise(**numbers)
    with pytest.raises(ConfigError, match="headroom is -1"):
        advise(rps=1, latency_ms=1, workers=1, headroom=-1)


@pytest.mark.db
async def test_the_server_says_its_limit(database: Database, engine_name: str) -> None:
    """SQLite has none."""
    limit = await server_limit(database)
    assert (engine_name == "sqlite") == (limit is None)
    assert limit is None or limit > 10
