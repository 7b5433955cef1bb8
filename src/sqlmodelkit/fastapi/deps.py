"""Dependencies: the unit of work of a request, and services in it."""

from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Annotated, Any, TypeVar

from fastapi import Depends, FastAPI
from fastapi.requests import HTTPConnection

from sqlmodelkit.database import Database
from sqlmodelkit.errors import ConfigError
from sqlmodelkit.scopes import UNSET, Scope
from sqlmodelkit.service import ServiceBase
from sqlmodelkit.sessions import AsyncSession
from sqlmodelkit.transactions import Isolation, check_isolation
from sqlmodelkit.units import UnitOfWork

S = TypeVar("S", bound=ServiceBase[Any, Any, Any])

_UNIT = "sqlmodelkit.unit"
_SCOPE = "sqlmodelkit.scope"
_CHARACTER = "sqlmodelkit.character"

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


def opened(connection: HTTPConnection, *, reading: bool | None = None) -> UnitOfWork:
    """Open a unit of work as the dependencies of this request want it.

    Args:
        connection: The request.
        reading: Whether it only reads; left out, as the method says.
    """
    if reading is None:
        reading = connection.scope.get("method") in READING
    isolation, read_only = connection.scope.get(_CHARACTER, (None, False))
    return database_of(connection).unit(
        reading=reading, isolation=isolation, read_only=read_only, scope=scope_of(connection)
    )


async def unit_of_work(connection: HTTPConnection) -> AsyncIterator[UnitOfWork]:
    """Yield the unit of work of this request; it commits before the response is sent."""
    async with opened(connection) as unit:
        connection.scope[_UNIT] = unit
        try:
            yield unit
        finally:
            del connection.scope[_UNIT]


def unit_in(connection: HTTPConnection) -> UnitOfWork | None:
    """Return the unit of work that a dependency of this request has opened, if one has."""
    unit: UnitOfWork | None = connection.scope.get(_UNIT)
    return unit


def scope_of(connection: HTTPConnection) -> Scope:
    """Return what the units of work of this request are limited to."""
    scope: Scope = connection.scope.get(_SCOPE, UNSET)
    return scope


def scoped_by(scope: Callable[..., Any]) -> Any:
    """Return a dependency that limits the units of work of a request, whoever opens them.

    ```python
    async def current_scope(user: Annotated[User, Depends(current_user)]) -> dict[str, Any]:
        return {"tenant": user.tenant_id}

    app = FastAPI(lifespan=db.lifespan, dependencies=[scoped_by(current_scope)])
    ```

    It holds for generated routers, services, responders and sessions alike, also for a unit of
    work that another dependency has opened before, as to look for the user.

    Args:
        scope: A dependency that answers a `Scope`, or the values of one.
    """

    async def limit(
        connection: HTTPConnection, found: Annotated[Any, Depends(scope, scope="function")]
    ) -> None:
        limits = scope_of(connection).joined(Scope.of(found))
        connection.scope[_SCOPE] = limits
        unit = unit_in(connection)
        if unit is not None:
            unit.enter(limits)

    return Depends(limit, scope="function")


def unit_with(*, isolation: Isolation | None = None, read_only: bool = False) -> Any:
    """Return a dependency that says of what kind the units of work of a request are.

    ```python
    @app.post("/transfers", dependencies=[unit_with(isolation="SERIALIZABLE")])
    async def transfer(accounts: Annotated[AccountService, service(AccountService)]) -> None: ...
    ```

    It holds for generated routers, services, responders and sessions alike. Where it is given
    twice, the inner one counts.

    Args:
        isolation: As in `Database.transaction`.
        read_only: As in `Database.transaction`.

    Raises:
        ConfigError: There is no such isolation; or, in a request, a dependency before this one
            has opened the unit of work already.
    """
    check_isolation(isolation)

    async def choose(connection: HTTPConnection) -> None:
        if unit_in(connection) is not None:
            raise ConfigError(
                "The unit of work of this request was opened before unit_with was asked.",
                hint="Put it before the dependency that reads, or let that one read in a "
                "db.session() of its own.",
            )
        connection.scope[_CHARACTER] = (isolation, read_only)

    return Depends(choose, scope="function")


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
