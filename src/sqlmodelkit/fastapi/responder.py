"""Answers as bytes: what the plan prints goes out as it is, with its ETag."""

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from functools import partial, wraps
from http import HTTPStatus
from typing import Any, TypeVar, cast

from fastapi import Depends, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from sqlmodelkit.errors import ConfigError, StaleVersion
from sqlmodelkit.filters import Filter
from sqlmodelkit.pages import DEFAULT_LIMIT, Count
from sqlmodelkit.service import ServiceBase
from sqlmodelkit.units import UnitOfWork

from .deps import UnitDep, opened, unit_in
from .preconditions import IfMatch, failed, is_versioned, tag_of

_IF_NONE_MATCH = b"if-none-match"

AnyService = ServiceBase[Any, Any, Any]
S = TypeVar("S", bound=AnyService)
F = TypeVar("F", bound=Callable[..., Any])


class Responder:
    """Reads and writes by a service, and answers the request with the JSON of a response model.

    The JSON is what FastAPI would send for `response_model`, without the models being made. What
    is read has an ETag, and a client that has it already is answered 304 (RFC 9110, section 13).

    Attributes:
        rows: The service.
        into: The response model.
    """

    def __init__(
        self,
        request: Request,
        rows: AnyService,
        into: type[BaseModel],
        *,
        response: Response,
        last: bool = False,
        require_if_match: bool = False,
    ) -> None:
        """Prepare answers to a request.

        Args:
            request: The request.
            rows: The service in the request's unit of work.
            into: The response model.
            response: FastAPI's, on which dependencies may have set headers and a status.
            last: Whether the answer is all that happens in the unit of work.
            require_if_match: Whether who changes a row must say which state of it has been read.
        """
        self.request = request
        self.rows = rows
        self.into = into
        self._response = response
        self._last = last
        self._require_if_match = require_if_match

    async def get(self, key: Any) -> Response:
        """Answer the row with this key.

        Raises:
            NotFound: There is none.
        """
        body = await self.rows.get_json(key, into=self.into)
        return self._read(body, self._tag(body))

    async def all(
        self,
        *filters: Filter,
        sort: str | Sequence[str] | None = None,
        limit: int | None = None,
        **conditions: Any,
    ) -> Response:
        """Answer the rows that match, as `ServiceBase.all`.

        Raises:
            PageError, FilterError, SortError: As `ServiceBase.all`.
        """
        return self._read(
            await self.rows.all_json(*filters, into=self.into, sort=sort, limit=limit, **conditions)
        )

    async def page(
        self,
        *filters: Filter,
        sort: str | Sequence[str] | None = None,
        limit: int = DEFAULT_LIMIT,
        offset: int = 0,
        count: Count = "exact",
        **conditions: Any,
    ) -> Response:
        """Answer a part of the rows that match, as `ServiceBase.page`.

        Raises:
            PageError, FilterError, SortError: As `ServiceBase.page`.
        """
        return self._read(
            await self.rows.page_json(
                *filters,
                into=self.into,
                sort=sort,
                limit=limit,
                offset=offset,
                count=count,
                **conditions,
            )
        )

    async def cursor_page(
        self,
        *filters: Filter,
        sort: str | Sequence[str] | None = None,
        limit: int = DEFAULT_LIMIT,
        cursor: str | None = None,
        **conditions: Any,
    ) -> Response:
        """Answer the rows at a cursor, as `ServiceBase.cursor_page`.

        Raises:
            CursorError, PageError, FilterError, SortError: As `ServiceBase.cursor_page`.
        """
        return self._read(
            await self.rows.cursor_page_json(
                *filters, into=self.into, sort=sort, limit=limit, cursor=cursor, **conditions
            )
        )

    async def stream(
        self, *filters: Filter, sort: str | Sequence[str] | None = None, **conditions: Any
    ) -> Response:
        """Answer all rows that match as JSON Lines, in the order of the key or of the sort.

        What goes wrong before the first lines is answered as usual. The connection is free while
        the client reads.

        Raises:
            FilterError: As `ServiceBase.stream`.
        """
        rows = type(self.rows)
        lines = _lines(self.request, rows, self.into, filters, conditions)
        first = await anext(lines, b"")

        async def body() -> AsyncIterator[bytes]:
            yield first
            async for part in lines:
                yield part

        return self._merged(StreamingResponse(body(), media_type="application/jsonl"))

    async def restore(self, key: Any) -> Response:
        """Bring a soft-deleted row back and answer it.

        Raises:
            NotFound, UniqueViolation: As `ServiceBase.restore`.
        """
        await self.rows.restore(key)
        return self._written(await self.rows.get_json(key, into=self.into))

    async def create(self, data: BaseModel) -> Response:
        """Add a row and answer it with 201.

        Raises:
            InvalidValue, UniqueViolation, ForeignKeyViolation, CheckViolation: As
                `ServiceBase.create`.
        """
        body = await self.rows.create_json(data, into=self.into, last=self._last)
        return self._written(body, HTTPStatus.CREATED)

    async def update(self, key: Any, data: BaseModel) -> Response:
        """Write the fields that were set and answer the row.

        A request with If-Match changes the row only while its ETag is that one.

        Raises:
            NotFound, StaleVersion, InvalidValue, UniqueViolation: As `ServiceBase.update`.
            PreconditionFailed: The row is no longer what If-Match says.
            PreconditionRequired: There is no If-Match, and there has to be one.
        """
        condition = IfMatch.of(self.request, required=self._require_if_match)
        if condition is None or condition.anything:
            body = await self.rows.update_json(key, data, into=self.into, last=self._last)
            return self._written(body)
        version = await self._hold(condition, key)
        try:
            body = await (
                self.rows.update_json(key, data, into=self.into)
                if version is None
                else self.rows.update_json(
                    key, data, into=self.into, last=self._last, version=version
                )
            )
        except StaleVersion as error:
            raise failed(self.rows) from error
        return self._written(body)

    async def delete(self, key: Any) -> Response:
        """Remove a row and answer 204.

        A request with If-Match removes the row only while its ETag is that one.

        Raises:
            NotFound, StaleVersion, ForeignKeyViolation: As `ServiceBase.delete`.
            PreconditionFailed, PreconditionRequired: As `update`.
        """
        condition = IfMatch.of(self.request, required=self._require_if_match)
        if condition is None or condition.anything:
            await self.rows.delete(key)
        else:
            version = await self._hold(condition, key)
            try:
                await (
                    self.rows.delete(key)
                    if version is None
                    else self.rows.delete(key, version=version)
                )
            except StaleVersion as error:
                raise failed(self.rows) from error
        status = self._response.status_code or HTTPStatus.NO_CONTENT
        return self._merged(Response(status_code=status))

    async def _hold(self, condition: IfMatch, key: Any) -> int | None:
        """See that the row is what the client has read, or answer the version that it must have."""
        versioned = is_versioned(type(self.rows), self.into)
        version = condition.version() if versioned else None
        if version is None:
            await condition.hold(self.rows, key, self.into, versioned=versioned)
        return version

    def _tag(self, body: bytes) -> str:
        return tag_of(body, versioned=is_versioned(type(self.rows), self.into))

    def _written(self, body: bytes, status_code: int = HTTPStatus.OK) -> Response:
        return self._send(body, status_code, self._tag(body))

    def _read(self, body: bytes, tag: str | None = None) -> Response:
        tag = tag or tag_of(body)
        asked = [value for name, value in self.request.scope["headers"] if name == _IF_NONE_MATCH]
        if asked and _matches(asked, tag):
            return self._merged(Response(None, HTTPStatus.NOT_MODIFIED, {"etag": tag}))
        return self._send(body, HTTPStatus.OK, tag)

    def _send(self, body: bytes, status_code: int, tag: str) -> Response:
        return self._merged(_Tagged(body, self._response.status_code or status_code, tag))

    def _merged(self, answer: Response) -> Response:
        # As FastAPI does for what it prints itself.
        answer.raw_headers.extend(self._response.raw_headers)
        return answer


class _Tagged(Response):
    """JSON with its entity tag, whose headers are written at once."""

    def __init__(self, body: bytes, status_code: int, tag: str) -> None:
        self.tag = tag
        super().__init__(body, status_code)

    def init_headers(self, headers: Mapping[str, str] | None = None) -> None:
        self.raw_headers = [(b"etag", self.tag.encode()), (b"content-type", b"application/json")]
        if self.status_code not in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
            self.raw_headers.append((b"content-length", b"%d" % len(self.body)))


async def _lines(
    request: Request,
    service_class: type[AnyService],
    into: type[BaseModel],
    filters: Sequence[Filter],
    conditions: dict[str, Any],
) -> AsyncIterator[bytes]:
    # The request's unit of work has ended when the answer is sent: this is one of its own.
    async with opened(request, reading=True) as unit:
        async for part in service_class(unit).stream_json(*filters, into=into, **conditions):
            yield part


def _matches(asked: Sequence[bytes], tag: str) -> bool:
    """Compare weakly, as RFC 9110 section 13.1.2 has it for If-None-Match."""
    lines = (line.decode("latin-1") for line in asked)
    tags = [part.strip().removeprefix("W/") for line in lines for part in line.split(",")]
    return tag in tags or tags == ["*"]


def responder(
    service_class: type[AnyService],
    into: type[BaseModel] | None = None,
    *,
    single: bool = False,
    require_if_match: bool = False,
) -> Any:
    """Return a dependency that answers requests by a service, in the bytes of its plan.

    ```python
    @app.get("/heroes/{hero_id}", response_model=HeroPublic)
    async def read_hero(
        hero_id: UUID, heroes: Annotated[Responder, responder(HeroService)]
    ) -> Response:
        return await heroes.get(hero_id)
    ```

    Args:
        service_class: The service.
        into: The response model; left out, the service's `public`.
        single: Say True where the endpoint is one call of the responder: what it writes is then
            made durable by its own statement where that is possible, without a transaction.
        require_if_match: Refuse to change a row for who does not say by If-Match which state of
            it has been read.

    Raises:
        ConfigError: The models do not fit together, or no response model is known.
    """
    service_class.check()
    shown = into or getattr(service_class, "public", None)
    if shown is None:
        raise ConfigError(
            f"{service_class.__name__} has no response model.",
            hint="Pass the model to answer with, or set `public`.",
        )
    service_class.plan(shown)
    provider = _single_provider if single else _provider
    return Depends(provider(service_class, shown, require_if_match), scope="function")


def _provider(
    service_class: type[S], into: type[BaseModel], require_if_match: bool
) -> Callable[[Request, Response, UnitOfWork], Coroutine[Any, Any, Responder]]:
    async def provide(request: Request, response: Response, unit: UnitDep) -> Responder:
        return Responder(
            request,
            service_class(unit),
            into,
            response=response,
            require_if_match=require_if_match,
        )

    return provide


def _single_provider(
    service_class: type[S], into: type[BaseModel], require_if_match: bool
) -> Callable[[Request, Response], Coroutine[Any, Any, Responder]]:
    async def provide(request: Request, response: Response) -> Responder:
        return _SingleResponder(
            request, response, service_class, into, require_if_match=require_if_match
        )

    return provide


class Answering:
    """Answers one request in the unit of work of its dependencies, or in one of its own.

    An endpoint that is a single call of a service needs no dependency for its unit of work: what
    the call writes may be made durable by the statement that writes it.
    """

    def __init__(
        self,
        request: Request,
        response: Response,
        service_class: type[AnyService],
        into: type[BaseModel],
        *,
        require_if_match: bool = False,
    ) -> None:
        self._request = request
        self._response = response
        self._service_class = service_class
        self._into = into
        self._require_if_match = require_if_match
        self._own: Any = None

    async def __aenter__(self) -> Responder:
        unit = unit_in(self._request)
        if unit is None:
            self._own = opened(self._request)
            unit = await self._own.__aenter__()
        return Responder(
            self._request,
            self._service_class(unit),
            self._into,
            response=self._response,
            last=self._own is not None,
            require_if_match=self._require_if_match,
        )

    async def __aexit__(self, *error: object) -> bool | None:
        return None if self._own is None else await self._own.__aexit__(*error)


def _alone(verb: F) -> F:
    @wraps(verb)
    async def answer(self: "_SingleResponder", *given: Any, **named: Any) -> Response:
        async with self.answering() as responder:
            response: Response = await verb(responder, *given, **named)
            return response

    return cast("F", answer)


class _SingleResponder(Responder):
    """Answers one call, in a unit of work that is opened for it and needs no dependency."""

    def __init__(
        self,
        request: Request,
        response: Response,
        service_class: type[AnyService],
        into: type[BaseModel],
        *,
        require_if_match: bool,
    ) -> None:
        self.request = request
        self.into = into
        self.answering = partial(
            Answering, request, response, service_class, into, require_if_match=require_if_match
        )

    def __getattr__(self, name: str) -> Any:
        raise ConfigError(
            f"A responder with single=True has no {name!r}: it answers one call.",
            hint="Leave single=True out where the endpoint does more.",
        )

    get = _alone(Responder.get)
    all = _alone(Responder.all)
    page = _alone(Responder.page)
    cursor_page = _alone(Responder.cursor_page)
    stream = _alone(Responder.stream)
    restore = _alone(Responder.restore)
    create = _alone(Responder.create)
    update = _alone(Responder.update)
    delete = _alone(Responder.delete)
