"""Dependencies: the unit of work of a request, and services in it."""

from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Annotated, Any, TypeVar

from fastapi import Depends, FastAPI
from fastapi.requests import HTTPConnection

from sqlmodelkit.database import Database
from sqlmodelkit.errors import ConfigError
from sqlmodelkit.service import ServiceBase
from sqlmodelkit.sessions import AsyncSession
from sqlmodelkit.units import UnitOfWork

S = TypeVar("S", bound=ServiceBase[Any, Any, Any])

_UNIT = "sqlmodelkit.unit"

READING = frozenset({"GET", "HEAD", "OPTIONS", "QUERY"})
"""Methods that are safe by RFC 9110, section 9.2.1: they take no write lock in advance."""


def bind_database(app: FastAPI, db: Database) -> None:
    """Let the endpoints of `app` work on `db`."""
    app.state.sqlmodelkit = db


def database_of(connection: HTTPConnection) -> Database:
    """Return the database of the application that serves this request.

    Raises:
        ConfigError: `install(app, db)` was not called.
    """
    db = getattr(connection.app.state, "sqlmodelkit", None)
    if not isinstance(db, Database):
        raise ConfigError("The application has no database.", hint="Call install(app, db).")
    return db


async def unit_of_work(connection: HTTPConnection) -> AsyncIterator[UnitOfWork]:
    """Yield the unit of work of this request; it commits before the response is sent."""
    reading = connection.scope.get("method") in READING
    async with database_of(connection).unit(reading=reading) as unit:
        connection.scope[_UNIT] = unit
        try:
            yield unit
        finally:
            del connection.scope[_UNIT]


def unit_in(connection: HTTPConnection) -> UnitOfWork | None:
    """Return the unit of work that a dependency of this request has opened, if one has."""
    unit: UnitOfWork | None = connection.scope.get(_UNIT)
    return unit


UnitDep = Annotated[UnitOfWork, Depends(unit_of_work, scope="function")]
"""The unit of work of the request: committed after the endpoint and before the response is sent.

The scope matters: with FastAPI's default the commit would come after the response, and one that
fails would be a success for the client.
"""


async def _session(unit: UnitDep) -> AsyncSession:
    return unit.session


SessionDep = Annotated[AsyncSession, Depends(_session, scope="function")]
"""The session of the request's unit of work."""


def service(service_class: type[ServiceBase[Any, Any, Any]]) -> Any:
    """Return a dependency that gives the service in the request's unit of work.

    ```python
    async def promote(heroes: Annotated[HeroService, service(HeroService)]) -> HeroPublic: ...
    ```

    Raises:
        ConfigError: The service's models do not fit together.
    """
    service_class.check()
    return Depends(_provider(service_class), scope="function")


def _provider(service_class: type[S]) -> Callable[[UnitOfWork], Coroutine[Any, Any, S]]:
    async def provide(unit: UnitDep) -> S:
        return service_class(unit)

    return provide
