"""Routers made from a service: list, read, create, change and remove."""

import inspect
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from types import GenericAlias
from typing import Annotated, Any, Literal, get_args

from fastapi import APIRouter, Body, Request, Response
from fastapi.params import Depends as DependsParam

from sqlmodelkit import errors as err
from sqlmodelkit.columns import key_of
from sqlmodelkit.models import SoftDelete
from sqlmodelkit.pages import (
    DEFAULT_LIMIT,
    MAX_LIMIT,
    Count,
    CountedPage,
    CursorPage,
    Page,
    is_approximate,
)
from sqlmodelkit.service import ServiceBase

from .deps import service
from .describing import Responses, error_responses, if_match, if_none_match, replayed, tagged
from .idempotency import Idempotency, IdempotencyKeyRequired, Once, idempotent
from .preconditions import PreconditionFailed, PreconditionRequired
from .queries import ListParameters, Pages
from .responder import Answering
from .signatures import key_parameters, parameter, signed, strict

Operation = Literal["list", "get", "create", "create_many", "update", "delete", "restore"]
"""What a generated router can do."""

_READING: tuple[Operation, ...] = ("list", "get")
_DEFAULT: tuple[Operation, ...] = (*_READING, "create", "create_many", "update", "delete")
MAX_BATCH = 100


def crud_router(  # noqa: PLR0913 - options of a declaration, all by name
    service_class: type[ServiceBase[Any, Any, Any]],
    *,
    auth: Sequence[DependsParam] = (),
    public: bool = False,
    read_auth: Sequence[DependsParam] = (),
    operations: Collection[Operation] = _DEFAULT,
    tags: Sequence[str] | None = None,
    default_limit: int = DEFAULT_LIMIT,
    max_limit: int = MAX_LIMIT,
    count: Count = "exact",
    pages: Pages = "offset",
    require_if_match: bool = False,
    idempotency: Idempotency | None = None,
) -> APIRouter:
    """Return a router with the endpoints of a service.

    ```python
    app.include_router(crud_router(HeroService, auth=[Depends(require_user)]), prefix="/heroes")
    ```

    Args:
        service_class: The service; its `public` is the response model.
        auth: Dependencies that guard the writing endpoints.
        public: Say True to let everybody write, in place of `auth`.
        read_auth: Dependencies that guard the reading endpoints.
        operations: The endpoints to make; `restore` only on request.
        tags: The tags in OpenAPI; left out, the model's name.
        default_limit: Rows of a page when the client names no limit.
        max_limit: The most rows of a page.
        count: Whether pages say how many rows match; `capped` and `estimated` answer
            `CountedPage`.
        pages: How the list is paged: `offset` answers `Page`, `cursor` answers `CursorPage`.
        require_if_match: Refuse to change or remove a row for who does not say by If-Match which
            state of it has been read (428).
        idempotency: How what is created by a request with an Idempotency-Key is created once.

    Raises:
        ConfigError: The service's models do not fit, or nobody said who may write.
    """
    service_class.check()
    _check_declaration(service_class, operations, guarded=bool(auth) or public, pages=pages)
    router = APIRouter(tags=list(tags) if tags else [service_class.model.__name__])
    guards = _Guards(list(auth), list(read_auth), require_if_match, idempotency)
    builder = _Builder(router, service_class, guards)
    if "list" in operations:
        parameters = ListParameters(
            service_class, default_limit=default_limit, max_limit=max_limit, pages=pages
        )
        if pages == "cursor":
            builder.add_cursor_list(parameters)
        else:
            builder.add_list(parameters, count)
    for operation, add in (
        ("get", builder.add_get),
        ("create", builder.add_create),
        ("create_many", builder.add_create_many),
        ("update", builder.add_update),
        ("delete", builder.add_delete),
        ("restore", builder.add_restore),
    ):
        if operation in operations:
            add()
    return router


def _check_declaration(
    service_class: type[ServiceBase[Any, Any, Any]],
    operations: Collection[Operation],
    *,
    guarded: bool,
    pages: str,
) -> None:
    name = service_class.__name__
    if not hasattr(service_class, "public"):
        raise err.ConfigError(
            f"{name} has no response model.", hint="Set `public` to the model to answer with."
        )
    if pages not in get_args(Pages):
        raise err.ConfigError(
            f"There is no way to page by {pages!r}.",
            hint=f"Ways are {', '.join(get_args(Pages))}.",
        )
    unknown = set(operations) - set(get_args(Operation))
    if unknown:
        raise err.ConfigError(
            f"There is no operation {', '.join(sorted(unknown))}.",
            hint=f"Operations are {', '.join(get_args(Operation))}.",
        )
    if set(operations) - set(_READING) and not guarded:
        raise err.ConfigError(
            f"Nobody said who may write through the router of {name}.",
            hint="Pass auth=[Depends(...)], or public=True if everybody may.",
        )
    if "restore" in operations and not issubclass(service_class.model, SoftDelete):
        raise err.ConfigError(
            f"{service_class.model.__name__} cannot be restored.",
            hint="Give it the mixin SoftDelete.",
        )


@dataclass(frozen=True, slots=True)
class _Guards:
    """What a request must show before it is served."""

    auth: list[DependsParam]
    read_auth: list[DependsParam]
    require_if_match: bool
    idempotency: Idempotency | None

    @property
    def repeats(self) -> tuple[type[err.SQLModelKitError], ...]:
        """Return how a request is refused whose key is missing."""
        return () if self.idempotency is None else (IdempotencyKeyRequired,)

    @property
    def refusals(self) -> tuple[type[err.SQLModelKitError], ...]:
        """Return how a change is refused that is for another state, or for none in particular."""
        needed = (PreconditionRequired,) if self.require_if_match else ()
        return (PreconditionFailed, *needed)


class _Builder:
    """Adds endpoints to a router, one method for each operation."""

    def __init__(
        self,
        router: APIRouter,
        service_class: type[ServiceBase[Any, Any, Any]],
        guards: _Guards,
    ) -> None:
        self.router = router
        self.service_class = service_class
        self.guards = guards
        self.public = service_class.public
        self.noun = service_class.model.__name__
        names = key_of(service_class.model)
        self.key_path = "".join(f"/{{{name}}}" for name in names)
        self.key_parameters = key_parameters(service_class)
        self.rows: Any = service(service_class)
        self.create_body = strict(service_class.create_model)

    def _options(
        self,
        verb: str,
        *kinds: type[err.SQLModelKitError],
        write: bool,
        responses: Responses | None = None,
    ) -> dict[str, Any]:
        return {
            "name": f"{verb.lower().replace(' ', '_')}_{self.noun.lower()}",
            "summary": f"{verb} {self.noun}",
            "dependencies": self.guards.auth if write else self.guards.read_auth,
            "responses": error_responses(err.BadRequest, *kinds, reading=not write)
            | (responses or {}),
        }

    def add_list(self, parameters: ListParameters, count: Count) -> None:
        public: Any = self.public
        page: Any = CountedPage if is_approximate(count) else Page

        @self.router.get(
            "",
            response_model=page[public],
            openapi_extra={"parameters": [*parameters.openapi(), if_none_match()]},
            **self._options("List", write=False),
        )
        async def list_rows(request: Request, response: Response) -> Response:
            query = parameters.read(request)
            async with self._answering(request, response) as answer:
                return await answer.page(
                    query.where,
                    sort=query.sort,
                    limit=query.limit,
                    offset=query.offset,
                    count=count,
                )

    def add_cursor_list(self, parameters: ListParameters) -> None:
        public: Any = self.public

        @self.router.get(
            "",
            response_model=CursorPage[public],
            openapi_extra={"parameters": [*parameters.openapi(), if_none_match()]},
            **self._options("List", write=False),
        )
        async def list_rows(request: Request, response: Response) -> Response:
            query = parameters.read(request)
            async with self._answering(request, response) as answer:
                return await answer.cursor_page(
                    query.where, sort=query.sort, limit=query.limit, cursor=query.cursor
                )

    def add_get(self) -> None:
        @self.router.get(
            self.key_path,
            response_model=self.public,
            openapi_extra={"parameters": [if_none_match()]},
            **self._options("Get", err.NotFound, write=False),
        )
        @self._keyed
        async def get_row(request: Request, response: Response, **parts: Any) -> Response:
            async with self._answering(request, response) as answer:
                return await answer.get(self._key(parts))

    def add_create(self) -> None:
        async def create_row(request: Request, response: Response, data: Any) -> Response:
            async with self._answering(request, response) as answer:
                return await answer.create(data)

        create_row.__annotations__["data"] = self.create_body
        self.router.post(
            "",
            status_code=HTTPStatus.CREATED,
            response_model=self.public,
            **self._options(
                "Create",
                err.Conflict,
                *self.guards.repeats,
                write=True,
                responses=self._created(tagged(201)),
            ),
        )(self._once(create_row))

    def add_create_many(self) -> None:
        async def create_rows(data: Any, rows: Any = self.rows) -> Any:
            return await rows.create_many(data, into=self.public)

        create_rows.__annotations__["data"] = Annotated[
            GenericAlias(list, self.create_body), Body(min_length=1, max_length=MAX_BATCH)
        ]
        self.router.post(
            "/batch",
            status_code=HTTPStatus.CREATED,
            response_model=GenericAlias(list, self.public),
            **self._options(
                "Create many",
                err.Conflict,
                *self.guards.repeats,
                write=True,
                responses=self._created({}),
            ),
        )(self._once(create_rows))

    def add_update(self) -> None:
        async def update_row(
            request: Request, response: Response, data: Any, **parts: Any
        ) -> Response:
            async with self._answering(request, response) as answer:
                return await answer.update(self._key(parts), data)

        update_row.__annotations__["data"] = strict(self.service_class.update_model)
        self.router.patch(
            self.key_path,
            response_model=self.public,
            openapi_extra={"parameters": [if_match(required=self.guards.require_if_match)]},
            **self._options(
                "Update",
                err.NotFound,
                err.Conflict,
                *self.guards.refusals,
                write=True,
                responses=tagged(200),
            ),
        )(self._keyed(update_row))

    def add_delete(self) -> None:
        @self.router.delete(
            self.key_path,
            status_code=HTTPStatus.NO_CONTENT,
            openapi_extra={"parameters": [if_match(required=self.guards.require_if_match)]},
            **self._options(
                "Delete", err.NotFound, err.Conflict, *self.guards.refusals, write=True
            ),
        )
        @self._keyed
        async def delete_row(request: Request, response: Response, **parts: Any) -> Response:
            async with self._answering(request, response) as answer:
                return await answer.delete(self._key(parts))

    def add_restore(self) -> None:
        @self.router.post(
            f"{self.key_path}/restore",
            response_model=self.public,
            **self._options(
                "Restore", err.NotFound, err.Conflict, write=True, responses=tagged(200)
            ),
        )
        @self._keyed
        async def restore_row(request: Request, response: Response, **parts: Any) -> Response:
            async with self._answering(request, response) as answer:
                return await answer.restore(self._key(parts))

    def _answering(self, request: Request, response: Response) -> Answering:
        return Answering(
            request,
            response,
            self.service_class,
            self.public,
            require_if_match=self.guards.require_if_match,
        )

    def _created(self, told: Responses) -> Responses:
        if self.guards.idempotency is None:
            return told
        headers = {**told.get(201, {}).get("headers", {}), **replayed(201)[201]["headers"]}
        return {201: {"headers": headers}}

    def _once(self, endpoint: Callable[..., Any]) -> Callable[..., Any]:
        """Return the endpoint in a form that does a request with an Idempotency-Key once."""
        settings = self.guards.idempotency
        if settings is None:
            return endpoint

        async def repeated(once: Once, **given: Any) -> Response:
            return await once.answer(lambda: endpoint(**given), status_code=HTTPStatus.CREATED)

        return signed(
            repeated,
            endpoint,
            [
                *inspect.signature(endpoint).parameters.values(),
                parameter("once", idempotent(settings)),
            ],
        )

    def _keyed(self, endpoint: Callable[..., Any]) -> Callable[..., Any]:
        """Return the endpoint with the parts of the key as parameters, in place of `**parts`."""
        own = inspect.signature(endpoint).parameters.values()
        rest = [part for part in own if part.name != "parts"]
        return signed(endpoint, endpoint, [*self.key_parameters, *rest])

    def _key(self, parts: dict[str, Any]) -> Any:
        """Return the key that was sent, as services take it."""
        values = [parts[one.name] for one in self.key_parameters]
        return values[0] if len(values) == 1 else tuple(values)
