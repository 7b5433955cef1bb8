"""How to reach the database, from the environment. Ring 1.

Start at `DatabaseSettings`. Every message names the variable to fix; no password is ever printed.
"""

from typing import Any, Literal, Self

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from .errors import ConfigError

_DRIVERS = {
    "postgresql": "postgresql+asyncpg",
    "postgres": "postgresql+asyncpg",
    "mysql": "mysql+asyncmy",
    "mariadb": "mariadb+asyncmy",
    "sqlite": "sqlite+aiosqlite",
}
SUPPORTED_DRIVERS = frozenset(
    {
        "postgresql+asyncpg",
        "mysql+asyncmy",
        "mysql+aiomysql",
        "mariadb+asyncmy",
        "mariadb+aiomysql",
        "sqlite+aiosqlite",
    }
)


LEAST_SECRET = 32
"""The fewest characters of a secret."""


class DatabaseSettings(BaseSettings):
    """The database's address, pool and time limits.

    Values come from arguments, then from the environment, then from a `.env` file.
    `DATABASE_URL` may name the plain database (`postgresql://...`, `mysql://...`); the async
    driver is added.
    """

    model_config = SettingsConfigDict(
        env_prefix="DB_",
        env_file=".env",
        extra="ignore",
        frozen=True,
        populate_by_name=True,
        hide_input_in_errors=True,
    )

    url: str = Field(
        default="sqlite:///./app.db",
        validation_alias="DATABASE_URL",
        repr=False,
        description="Where the database is.",
    )
    pool_size: int = Field(default=5, ge=1, le=1000, description="Connections kept open.")
    max_overflow: int = Field(default=10, ge=0, le=1000, description="More, when all are busy.")
    pool_timeout: float = Field(default=30.0, gt=0, description="Seconds to wait for one.")
    pool_recycle: int = Field(default=3600, ge=-1, description="Seconds until one is replaced.")
    pool_pre_ping: bool = Field(default=True, description="Test a connection before use.")
    connect_timeout: float = Field(default=10.0, gt=0, description="Seconds to connect.")
    statement_timeout: float = Field(
        default=30.0, ge=0, description="Seconds a statement may take; 0 is without limit."
    )
    lock_timeout: float = Field(
        default=10.0, ge=0, description="Seconds to wait for a lock; 0 is without limit."
    )
    idle_in_transaction_timeout: float = Field(
        default=60.0, ge=0, description="Seconds a transaction may idle; 0 is without limit."
    )
    pooler: Literal["none", "pgbouncer"] = Field(
        default="none", description="A transaction pooler between us and PostgreSQL."
    )
    application_name: str = Field(default="sqlmodelkit", max_length=63)
    cursor_secret: SecretStr | None = Field(
        default=None,
        min_length=LEAST_SECRET,
        description="What cursors are sealed with; the same for all processes.",
    )
    echo: bool = Field(default=False, description="Log every statement; for development.")

    def __init__(self, **values: Any) -> None:
        known = {*type(self).model_fields, "DATABASE_URL"}
        unknown = [name for name in values if name not in known and not name.startswith("_")]
        if unknown:
            raise ConfigError(
                f"There is no setting {', '.join(unknown)}.",
                hint=f"Settings are {', '.join(type(self).model_fields)}.",
                fields=unknown,
            )
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise ConfigError(
                "; ".join(
                    f"{_variable(problem['loc'])}: {problem['msg']}" for problem in error.errors()
                ),
                hint="Set the variable, or pass the setting to DatabaseSettings().",
                fields=[str(problem["loc"][0]) for problem in error.errors() if problem["loc"]],
            ) from None

    @model_validator(mode="after")
    def _check_url(self) -> Self:
        self.engine_url()
        return self

    def engine_url(self) -> URL:
        """Return the address with its async driver.

        Raises:
            ConfigError: The address cannot be read, or its driver is not an async one of ours.
        """
        try:
            url = make_url(self.url)
        except (ArgumentError, ValueError):
            raise ConfigError(
                "DATABASE_URL cannot be read as an address.",
                hint="Write it as postgresql://user:password@host/name; percent-encode the password.",
            ) from None
        name = _DRIVERS.get(url.drivername, url.drivername)
        if name not in SUPPORTED_DRIVERS:
            raise ConfigError(
                f"DATABASE_URL asks for the driver {url.drivername!r}.",
                hint=f"Use one of {', '.join(sorted(SUPPORTED_DRIVERS))}, or leave the driver out.",
            )
        url = url.set(drivername=name)
        mode = url.query.get("sslmode")
        if name == "postgresql+asyncpg" and mode is not None:
            url = url.difference_update_query(["sslmode"]).update_query_dict({"ssl": mode})
        return url


def _variable(loc: tuple[int | str, ...]) -> str:
    name = str(loc[0]) if loc else "DATABASE_URL"
    return "DATABASE_URL" if name in ("url", "DATABASE_URL") else f"DB_{name}".upper()
