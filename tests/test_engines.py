"""Engine options as data: what each database gets."""

from collections.abc import Callable
from typing import Any

import pytest

from sqlmodelkit.engines import EngineOptions, engine_options
from sqlmodelkit.settings import DatabaseSettings


def options(url: str, **settings: Any) -> EngineOptions:
    """Return the options for an address."""
    return engine_options(DatabaseSettings(url=url, **settings))


@pytest.mark.parametrize(
    "url", ["sqlite:///app.db", "sqlite://", "postgresql://h/d", "mysql://h/d", "mariadb://h/d"]
)
def test_the_pool_is_as_the_settings_say(url: str) -> None:
    """Sizes and waiting are the same on every database."""
    given = options(url, pool_size=3, max_overflow=4, pool_timeout=5, echo=True).arguments
    assert (given["pool_size"], given["max_overflow"], given["pool_timeout"]) == (3, 4, 5)
    assert given["echo"] is True


@pytest.mark.parametrize("url", ["sqlite://", "postgresql://h/d", "mysql://h/d"])
def test_values_are_kept_out_of_errors_and_logs_unless_echo_is_on(url: str) -> None:
    """Only a developer who asked for it sees parameters."""
    assert options(url).arguments["hide_parameters"] is True
    assert options(url, echo=True).arguments["hide_parameters"] is False


@pytest.mark.parametrize("url", ["postgresql://h/d", "mysql://h/d"])
def test_connections_of_a_server_are_tested_and_replaced(url: str) -> None:
    """A server may have gone away; a file cannot."""
    server, file = options(url, pool_recycle=60), options("sqlite://")
    assert (server.ping, server.arguments["pool_recycle"]) == (True, 60)
    assert (file.ping, file.arguments["pool_recycle"]) == (False, -1)
    assert not options(url, pool_pre_ping=False).ping


def test_sqlite_is_set_up_for_an_application() -> None:
    """Write-ahead log, foreign keys, patience, LIKE that minds the case, explicit BEGIN."""
    got = options("sqlite:///app.db", lock_timeout=2.5)
    assert got.on_connect == (
        "PRAGMA busy_timeout = 2500",
        "PRAGMA foreign_keys = ON",
        "PRAGMA case_sensitive_like = ON",
        "PRAGMA journal_mode = WAL",
    )
    assert got.arguments["connect_args"]["isolation_level"] is None
    assert got.single_writer
    assert got.memory is None
    assert str(got.url) == "sqlite+aiosqlite:///app.db"


def test_sqlite_without_a_limit_waits_for_a_lock_as_long_as_it_can() -> None:
    """Zero is without limit everywhere, although SQLite's own zero means not to wait at all."""
    assert "PRAGMA busy_timeout = 2147483647" in options("sqlite://", lock_timeout=0).on_connect


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_a_database_in_memory_is_shared_by_its_connections(url: str) -> None:
    """All connections of one engine see the same rows; another engine has its own."""
    got, other = options(url), options(url)
    assert got.memory is not None
    assert got.memory.endswith("?vfs=memdb")
    assert dict(got.url.query) == {"vfs": "memdb", "uri": "true"}
    assert got.memory.partition("?")[0] == got.url.database
    assert "PRAGMA journal_mode = WAL" not in got.on_connect
    assert got.single_writer
    assert got.memory != other.memory


def test_postgresql_limits_every_session_on_the_server() -> None:
    """Timeouts are enforced by the server; the driver's own comes after them."""
    got = options(
        "postgresql://h/d",
        connect_timeout=3,
        statement_timeout=20,
        lock_timeout=0.25,
        idle_in_transaction_timeout=0,
        application_name="shop",
    )
    assert got.arguments["connect_args"] == {
        "timeout": 3,
        "command_timeout": 25,
        "server_settings": {
            "application_name": "shop",
            "statement_timeout": "20000",
            "lock_timeout": "250",
            "idle_in_transaction_session_timeout": "0",
        },
    }
    assert (got.on_connect, got.single_writer, got.memory) == ((), False, None)


def test_postgresql_without_a_limit_has_none_in_the_driver_either() -> None:
    """Zero is without limit on both sides."""
    connect = options("postgresql://h/d", statement_timeout=0).arguments["connect_args"]
    assert "command_timeout" not in connect
    assert connect["server_settings"]["statement_timeout"] == "0"


def test_behind_pgbouncer_nothing_outlives_a_transaction() -> None:
    """No prepared statement is reused, and no start-up parameter that the pooler refuses."""
    connect = options("postgresql://h/d", pooler="pgbouncer").arguments["connect_args"]
    name: Callable[[], str] = connect.pop("prepared_statement_name_func")
    assert connect == {
        "timeout": 10,
        "command_timeout": 35,
        "statement_cache_size": 0,
        "prepared_statement_cache_size": 0,
        "server_settings": {"application_name": "sqlmodelkit"},
    }
    assert name() != name()


@pytest.mark.parametrize("url", ["mysql://h/d", "mysql+aiomysql://h/d", "mariadb://h/d"])
def test_mysql_is_strict_in_utc_and_limited(url: str) -> None:
    """One statement at connect sets what the server's defaults leave open."""
    got = options(url, statement_timeout=1.5, lock_timeout=4)
    (statement,) = got.on_connect
    assert statement == (
        "SET SESSION time_zone = '+00:00', "
        "sql_mode = 'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,"
        "NO_ENGINE_SUBSTITUTION', "
        "innodb_lock_wait_timeout = 4"
        " /*M!100101 , max_statement_time = 1.5 */"
        " /*!80000 , max_execution_time = 1500 */"
    )
    assert got.arguments["connect_args"] == {
        "connect_timeout": 10,
        "charset": "utf8mb4",
        "autocommit": True,
    }
    assert (got.single_writer, got.memory) == (False, None)


@pytest.mark.parametrize(
    ("seconds", "wait"),
    [
        pytest.param(0, 1073741824, id="without limit"),
        pytest.param(0.2, 1, id="less than a second"),
        pytest.param(2.6, 3, id="rounded"),
    ],
)
def test_mysql_waits_for_locks_in_whole_seconds(seconds: float, wait: int) -> None:
    """A limit below a second is a second; zero is the longest wait there is."""
    (statement,) = options("mysql://h/d", lock_timeout=seconds).on_connect
    assert f"innodb_lock_wait_timeout = {wait} " in statement


def test_a_connect_timeout_below_a_second_is_a_second_on_mysql() -> None:
    """The drivers know whole seconds only."""
    connect = options("mysql://h/d", connect_timeout=0.2).arguments["connect_args"]
    assert connect["connect_timeout"] == 1
