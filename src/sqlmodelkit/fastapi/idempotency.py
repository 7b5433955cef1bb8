"""Idempotency-Key: a request that is repeated is done once, and answered the same each time.

Start at `Idempotency`. See draft-ietf-httpapi-idempotency-key-header. What is done and its answer
are one transaction: after a crash there are both, or neither.
"""

import asyncio
import json
import random
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from http import HTTPStatus
from time import monotonic
from typing import Annotated, Any

from fastapi import Depends, Header, Request, Response
from pydantic import TypeAdapter
from sqlalchemy import Table, delete, insert, select, update
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from sqlmodelkit.columns import mapper_of
from sqlmodelkit.database import Database
from sqlmodelkit.errors import (
    BadRequest,
    ConfigError,
    Conflict,
    Locked,
    QueryTimeout,
    SerializationFailure,
)
from sqlmodelkit.models import StoredAnswer
from sqlmodelkit.sessions import translating
from sqlmodelkit.units import UnitOfWork

from .deps import UnitDep, scope_of

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
MAX_KEY = 255
_PATIENCE_S = 10.0
_LONGEST_PAUSE = 0.05
_AT_ONCE = 1000
_PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")
_NOT_KEPT = frozenset({"content-length", "set-cookie"})

Work = Callable[[], Awaitable[Any]]


class IdempotencyKeyRequired(BadRequest):
    """The request has to say by one Idempotency-Key which request it is."""


class IdempotencyKeyReused(BadRequest):
    """The Idempotency-Key belongs to another request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Idempotency:
    """How requests that carry an Idempotency-Key are done once.

    Attributes:
        table: The table of answers: a table model made of `StoredAnswer`.
        caller: A dependency that answers who sends the request, as a text, number or UUID. Keys
            of two callers, or of two scopes, never meet.
        keep: How long an answer is kept.
        required: Whether a request without a key is refused.
    """

    table: type[StoredAnswer]
    caller: Callable[..., Any]
    keep: timedelta = timedelta(hours=24)
    required: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot keep answers.

        Raises:
            ConfigError: The class is no table, or answers would not be kept.
        """
        mapper_of(self.table)
        if self.keep <= timedelta(0):
            raise ConfigError("Answers would not be kept.", hint="Give `keep` some time.")

    async def purge(self, db: Database) -> int:
        """Remove the answers whose time is over, and return how many there were.

        A few at a time and by their keys, so that nobody waits who is adding one.
        """
        table, now, removed = _table(self.table), datetime.now(UTC), 0
        old = select(table.c.key).where(table.c.expires_at <= now).limit(_AT_ONCE)
        while True:
            async with db.transaction() as session:
                connection = await session.connection()
                keys = list((await connection.execute(old)).scalars())
                gone = delete(table).where(table.c.key.in_(keys), table.c.expires_at <= now)
                removed += (await connection.execute(gone)).rowcount if keys else 0
            if len(keys) < _AT_ONCE:
                return removed


class Once:
    """Does the work of one request, or answers what was answered before."""

    def __init__(
        self,
        request: Request,
        unit: UnitOfWork,
        *,
        response: Response,
        settings: Idempotency,
        caller: Any,
        key: str | None,
    ) -> None:
        """Prepare.

        Args:
            request: The request.
            unit: Its unit of work, in which the work is done.
            response: FastAPI's, on which dependencies may have set headers.
            settings: How answers are kept.
            caller: Who sends it.
            key: The key that was sent.
        """
        self._request = request
        self._unit = unit
        self._response = response
        self._settings = settings
        self._caller = caller
        self._key = key
        self._table = _table(settings.table)

    async def answer(self, work: Work, *, status_code: int = HTTPStatus.OK) -> Response:
        """Do the work and keep its answer, or answer again what was answered before.

        Who repeats a request while it is in work waits for its answer. What raises an error, or
        is answered with one, leaves nothing, so that it can be tried again.

        Args:
            work: Answers a `Response`, as a `Responder` does, or a response model.
            status_code: The status when it answers a model.

        Raises:
            IdempotencyKeyRequired: There is no key and has to be one, or there are several.
            IdempotencyKeyReused: The key belongs to another request.
            Locked: The first request with this key takes too long.
            Conflict: The first request has ended, and nobody knows how.
        """
        sent = self._request.headers.getlist(HEADER)
        if len(sent) > 1 or (not sent and self._settings.required):
            raise IdempotencyKeyRequired(
                hint="Send a new one, such as a UUID, and the same when you repeat the request.",
                fields=[HEADER],
            )
        if self._key is None:
            return self._made(await work(), status_code)
        record = await self._record()
        stored = await self._claim(record)
        if stored is not None:
            return self._again(record, stored)
        made = self._made(await work(), status_code)
        await self._keep(record, made)
        return made

    async def _record(self) -> dict[str, Any]:
        if self._caller is None:
            raise ConfigError(
                "Nobody knows who sends this request, so that its key may be another's.",
                hint="Let `caller` of Idempotency answer a value for everybody who may call.",
            )
        request, scope = self._request, scope_of(self._request)
        limits = sorted((name, str(value)) for name, value in scope.values.items())
        about = [_route(request), str(self._caller), limits, self._key]
        target = [request.method, request.url.path, request.url.query]
        return {
            "key": _hash(request.method, about),
            "fingerprint": _hash(sha256(await request.body()).hexdigest(), target),
            "claim": secrets.token_hex(16),
            "expires_at": datetime.now(UTC) + self._settings.keep,
        }

    async def _claim(self, record: dict[str, Any]) -> Mapping[str, Any] | None:
        """Take the key, or return what is stored under it; whoever is at it is waited for."""
        alone, until = not self._unit.begun, monotonic() + _PATIENCE_S
        while True:
            try:
                with translating():
                    return await self._try_claim(record)
            except (SerializationFailure, QueryTimeout, Locked) as error:
                # Where repeats wait for a request that then fails, MariaDB lets one of them go on
                # and calls it a deadlock for others. Nothing else has been done by then.
                if not alone or monotonic() > until:
                    raise Locked(
                        "The first request with this Idempotency-Key is still in work.",
                        fields=[HEADER],
                    ) from error
                await self._unit.session.rollback()
                await asyncio.sleep(random.uniform(0, _LONGEST_PAUSE))  # noqa: S311 - no secret

    async def _try_claim(self, record: dict[str, Any]) -> Mapping[str, Any] | None:
        connection = await self._unit.session.connection()
        table, now = self._table, datetime.now(UTC)
        await connection.execute(_insert_or_nothing(connection, table).values(record))
        here = table.c.key == record["key"]
        found = await connection.execute(select(table).where(here).with_for_update())
        stored = found.mappings().one_or_none()
        if stored is None:
            # It was added after this transaction had begun to look.
            raise SerializationFailure
        if stored["claim"] == record["claim"]:
            return None
        if stored["expires_at"] <= now:
            fresh = {**record, "status": None, "headers": None, "body": None}
            await connection.execute(update(table).where(here).values(fresh))
            return None
        return dict(stored)

    def _again(self, record: dict[str, Any], stored: Mapping[str, Any]) -> Response:
        if stored["fingerprint"] != record["fingerprint"]:
            raise IdempotencyKeyReused(hint="Send a new key with a new request.", fields=[HEADER])
        if stored["status"] is None:
            raise Conflict(
                "A request with this Idempotency-Key was begun, and it is not known how it ended.",
                fields=[HEADER],
            )
        answer = Response(stored["body"], stored["status"])
        kept = [
            (name.encode("latin-1"), value.encode("latin-1")) for name, value in stored["headers"]
        ]
        answer.raw_headers.extend(kept)
        answer.headers[REPLAYED] = "true"
        return answer

    async def _keep(self, record: dict[str, Any], made: Response) -> None:
        table, connection = self._table, await self._unit.session.connection()
        mine = (table.c.key == record["key"], table.c.claim == record["claim"])
        kept = [
            [name.decode("latin-1"), value.decode("latin-1")]
            for name, value in made.raw_headers
            if name.decode("latin-1").lower() not in _NOT_KEPT
        ]
        if not hasattr(made, "body"):
            raise ConfigError(
                "An answer that is streamed cannot be kept.", hint="Leave Idempotency out."
            )
        with translating():
            await self._unit.session.flush()
            if made.status_code >= HTTPStatus.BAD_REQUEST:
                await connection.execute(delete(table).where(*mine))
                return
            answer = {"status": made.status_code, "headers": kept, "body": bytes(made.body)}
            await connection.execute(update(table).where(*mine).values(answer))

    def _made(self, made: Any, status_code: int) -> Response:
        if isinstance(made, Response):
            return made
        body = TypeAdapter(type(made)).dump_json(made, by_alias=True)
        answer = Response(body, status_code, media_type="application/json")
        answer.raw_headers.extend(self._response.raw_headers)
        return answer


def idempotent(settings: Idempotency) -> Any:
    """Return a dependency that gives `Once`, for an endpoint of your own.

    ```python
    @app.post("/orders", status_code=201, response_model=OrderPublic)
    async def order(
        wish: OrderCreate,
        orders: Annotated[OrderService, service(OrderService)],
        once: Annotated[Once, idempotent(IDEMPOTENCY)],
    ) -> Response:
        return await once.answer(lambda: orders.create(wish, into=OrderPublic), status_code=201)
    ```
    """
    described = "Names the request: who sends it again gets the same answer, and it is done once."

    async def provide(
        request: Request,
        response: Response,
        unit: UnitDep,
        caller: Annotated[Any, Depends(settings.caller, scope="function")],
        key: Annotated[
            str | None,
            Header(alias=HEADER, min_length=1, max_length=MAX_KEY, description=described),
        ] = None,
    ) -> Once:
        return Once(request, unit, response=response, settings=settings, caller=caller, key=key)

    return Depends(provide, scope="function")


def _route(request: Request) -> str:
    """Return the path of the route with the names of its parameters, as far as they are known.

    A route that was included in another router knows the end of its path only.
    """
    path, end = request.url.path, getattr(request.scope.get("route"), "path", "")
    given = request.path_params
    filled = _PARAMETER.sub(lambda found: str(given.get(found[1], found[0])), end)
    return f"{path.removesuffix(filled)}{end}" if path.endswith(filled) else path


def _table(model: type[StoredAnswer]) -> Table:
    table = mapper_of(model).local_table
    if not isinstance(table, Table):
        raise ConfigError(f"{model.__name__} is not a table.", hint="Declare it with table=True.")
    return table


def _hash(first: str, others: list[Any]) -> str:
    return sha256(json.dumps([first, *others]).encode()).hexdigest()


def _insert_or_nothing(connection: AsyncConnection, table: Table) -> Any:
    match connection.dialect.name:
        case "postgresql":
            return postgresql.insert(table).on_conflict_do_nothing(index_elements=["key"])
        case "sqlite":
            return sqlite.insert(table).on_conflict_do_nothing(index_elements=["key"])
        case "mysql" | "mariadb":
            # Not IGNORE: that waits for a shared lock, and then two who wait would both go on.
            same = {"key": table.c.key}
            return mysql.insert(table).on_duplicate_key_update(same)
    return insert(table)
