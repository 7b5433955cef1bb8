"""Settings from arguments and the environment; messages that name the variable."""

import pickle
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from sqlmodelkit.errors import ConfigError
from sqlmodelkit.settings import SUPPORTED_DRIVERS, DatabaseSettings

SECRET = "s3cr3t-p4ss"

VARIABLES: dict[str, tuple[str, str, Any, str | None]] = {
    # variable: field, text, value, a text that is refused
    "DATABASE_URL": ("url", "postgresql://h/d", "postgresql://h/d", "no address"),
    "DB_POOL_SIZE": ("pool_size", "7", 7, "0"),
    "DB_MAX_OVERFLOW": ("max_overflow", "0", 0, "-1"),
    "DB_POOL_TIMEOUT": ("pool_timeout", "1.5", 1.5, "0"),
    "DB_POOL_RECYCLE": ("pool_recycle", "-1", -1, "-2"),
    "DB_POOL_PRE_PING": ("pool_pre_ping", "false", False, "perhaps"),
    "DB_CONNECT_TIMEOUT": ("connect_timeout", "3", 3.0, "0"),
    "DB_STATEMENT_TIMEOUT": ("statement_timeout", "0", 0.0, "-1"),
    "DB_LOCK_TIMEOUT": ("lock_timeout", "0", 0.0, "-1"),
    "DB_IDLE_IN_TRANSACTION_TIMEOUT": ("idle_in_transaction_timeout", "0", 0.0, "soon"),
    "DB_POOLER": ("pooler", "pgbouncer", "pgbouncer", "pgpool"),
    "DB_APPLICATION_NAME": ("application_name", "shop", "shop", "x" * 64),
    "DB_CURSOR_SECRET": ("cursor_secret", "s" * 32, SecretStr("s" * 32), "s" * 31),
    "DB_ECHO": ("echo", "1", True, "loud"),
}


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither the environment nor a .env file of the machine takes part."""
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path)


def test_the_table_of_this_test_has_every_setting() -> None:
    """A new setting comes with its variable."""
    assert {field for field, *_ in VARIABLES.values()} == set(DatabaseSettings.model_fields)


def test_without_anything_the_database_is_a_file_here() -> None:
    """The first step needs no setting."""
    assert str(DatabaseSettings().engine_url()) == "sqlite+aiosqlite:///./app.db"


@pytest.mark.parametrize("variable", VARIABLES)
def test_each_variable_sets_its_field(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every setting can come from the environment."""
    field, text, value, _ = VARIABLES[variable]
    monkeypatch.setenv(variable, text)
    assert getattr(DatabaseSettings(), field) == value


@pytest.mark.parametrize("variable", VARIABLES)
def test_a_wrong_value_is_refused_by_the_name_of_its_variable(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says which variable to mend."""
    monkeypatch.setenv(variable, str(VARIABLES[variable][3]))
    with pytest.raises(ConfigError, match=rf"\b{variable}\b") as caught:
        DatabaseSettings()
    assert caught.value.hint


@pytest.mark.parametrize("variable", VARIABLES)
def test_a_wrong_argument_is_refused_by_the_name_of_its_variable(variable: str) -> None:
    """An argument and its variable are the same setting."""
    field, _, _, wrong = VARIABLES[variable]
    values: dict[str, Any] = {field: wrong}
    with pytest.raises(ConfigError, match=rf"\b{variable}\b"):
        DatabaseSettings(**values)


def test_several_wrong_values_are_told_at_once() -> None:
    """One start shows all mistakes."""
    with pytest.raises(ConfigError) as caught:
        DatabaseSettings(pool_size=0, pool_timeout=-1)
    assert caught.value.fields == ("pool_size", "pool_timeout")
    assert "DB_POOL_SIZE: " in caught.value.message
    assert "; DB_POOL_TIMEOUT: " in caught.value.message


def test_an_argument_that_is_no_setting_is_refused() -> None:
    """A misspelt argument does not pass for its default."""
    misspelt: dict[str, Any] = {"pool_sise": 3}
    with pytest.raises(ConfigError, match="pool_sise"):
        DatabaseSettings(**misspelt)


def test_foreign_variables_are_none_of_our_business(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other programs may have variables that start like ours."""
    monkeypatch.setenv("DB_FLAVOUR", "vanilla")
    assert DatabaseSettings().pool_size == 5


def test_arguments_win_over_the_environment_and_that_over_the_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The nearer to the code, the stronger."""
    Path(".env").write_text("DB_POOL_SIZE=2\nDB_MAX_OVERFLOW=2\nDB_POOL_TIMEOUT=2\n")
    monkeypatch.setenv("DB_MAX_OVERFLOW", "3")
    monkeypatch.setenv("DB_POOL_TIMEOUT", "3")
    settings = DatabaseSettings(pool_timeout=4)
    assert (settings.pool_size, settings.max_overflow, settings.pool_timeout) == (2, 3, 4)


def test_settings_cannot_be_changed_afterwards() -> None:
    """An engine that was made from settings still fits them."""
    settings = DatabaseSettings()
    with pytest.raises(ValueError, match="frozen"):
        settings.pool_size = 3


@pytest.mark.parametrize(
    ("plain", "driver"),
    [
        ("postgresql://h/d", "postgresql+asyncpg"),
        ("postgres://h/d", "postgresql+asyncpg"),
        ("mysql://h/d", "mysql+asyncmy"),
        ("mariadb://h/d", "mariadb+asyncmy"),
        ("sqlite:///d", "sqlite+aiosqlite"),
        *((f"{driver}://h/d", driver) for driver in sorted(SUPPORTED_DRIVERS)),
    ],
)
def test_an_address_gets_the_async_driver(plain: str, driver: str) -> None:
    """The address that a host gives out works as it is; a driver that was named stays."""
    assert DatabaseSettings(url=plain).engine_url().drivername == driver


@pytest.mark.parametrize(
    "url", ["postgresql+psycopg2://h/d", "mysql+pymysql://h/d", "sqlite+pysqlite://", "oracle://h"]
)
def test_another_driver_is_refused_with_those_that_work(url: str) -> None:
    """The message lists the drivers that may be asked for."""
    with pytest.raises(ConfigError) as caught:
        DatabaseSettings(url=url)
    assert f"DATABASE_URL asks for the driver {url.partition(':')[0]!r}." == caught.value.message
    assert "mysql+asyncmy, postgresql+asyncpg, sqlite+aiosqlite" in str(caught.value.hint)


def test_the_sslmode_of_libpq_is_told_to_asyncpg() -> None:
    """Addresses of hosted databases carry sslmode, which asyncpg calls ssl."""
    url = DatabaseSettings(url="postgresql://u@h/d?sslmode=require&application_name=a").engine_url()
    assert dict(url.query) == {"ssl": "require", "application_name": "a"}


def test_the_sslmode_of_another_database_stays() -> None:
    """Only asyncpg's word differs."""
    url = DatabaseSettings(url="mysql://u@h/d?sslmode=require").engine_url()
    assert dict(url.query) == {"sslmode": "require"}


def test_a_percent_encoded_password_reaches_the_driver_whole() -> None:
    """Characters that mean something in an address can be in a password."""
    url = DatabaseSettings(url="postgresql://u:p%40ss%2F%3A@h/d").engine_url()
    assert url.password == "p@ss/:"


def test_the_password_is_not_in_what_settings_print() -> None:
    """Settings can be logged."""
    settings = DatabaseSettings(url=f"postgresql://u:{SECRET}@h/d")
    assert SECRET not in repr(settings)
    assert SECRET not in str(settings)
    assert SECRET not in repr(settings.engine_url())
    assert settings.engine_url().password == SECRET


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://u:{SECRET}@h:port/d",
        f"postgresql+psycopg2://u:{SECRET}@h/d",
        f"u:{SECRET}@h",
        f"{SECRET}",
        f"post gres://u:{SECRET}@h/d",
    ],
)
def test_the_password_is_not_in_the_error_about_the_address(url: str) -> None:
    """Neither the message, nor the chain of exceptions behind it, shows the address."""
    with pytest.raises(ConfigError, match="DATABASE_URL") as caught:
        DatabaseSettings(url=url)
    error: BaseException | None = caught.value
    while error is not None:
        assert SECRET not in repr(error) + str(error)
        shown = None if error.__suppress_context__ else error.__context__
        error = error.__cause__ or shown


def test_the_password_is_not_in_the_error_about_another_setting() -> None:
    """The values that were right are not part of a refusal."""
    with pytest.raises(ConfigError) as caught:
        DatabaseSettings(url=f"postgresql://u:{SECRET}@h/d", pool_size=0)
    assert SECRET not in str(caught.value)
    assert SECRET.encode() not in pickle.dumps(caught.value)


def test_a_value_of_the_wrong_kind_is_not_repeated() -> None:
    """What was passed for the address may be a secret, whatever it is."""
    wrong: dict[str, Any] = {"url": [f"postgresql://u:{SECRET}@h/d"]}
    with pytest.raises(ConfigError, match=r"^DATABASE_URL: ") as caught:
        DatabaseSettings(**wrong)
    assert SECRET not in str(caught.value)
