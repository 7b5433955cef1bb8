"""A GET request to the application, with what it makes the database do.

Start at `explain_url`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, get_args
from urllib.parse import unquote, urlsplit

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import BaseModel

from sqlmodelkit.database import Database
from sqlmodelkit.errors import ConfigError
from sqlmodelkit.service import ServiceBase
from sqlmodelkit.sessions import translating

from .indexes import IndexAdvice
from .plans import advise, explain
from .sending import Sent, capturing

_METHODS = ("GET", "HEAD")
_SHOWN = 500


@dataclass(frozen=True, slots=True)
class Answered:
    """What a request did.

    Attributes:
        status: The status of the answer.
        refusal: What the answer says where it is an error.
        plan: How the response model is read, where a service answers.
        statements: What was sent to the database, each with the database's own plan.
        advice: The indexes that are missing.
    """

    status: int
    refusal: str
    plan: str
    statements: tuple[tuple[Sent, tuple[str, ...]], ...]
    advice: tuple[IndexAdvice, ...]

    def __str__(self) -> str:
        lines = [f"{self.status}, {len(self.statements)} statement(s)", ""]
        if self.refusal:
            lines += [self.refusal, ""]
        if self.plan:
            lines += [self.plan, ""]
        for sent, plan in self.statements:
            lines += [sent.text, *(f"  {line}" for line in plan), ""]
        lines += [f"Missing index on {advice}" for advice in self.advice]
        if not self.advice:
            lines.append("No index is missing.")
        return "\n".join(lines).rstrip()


async def explain_url(
    app: FastAPI, url: str, *, method: str = "GET", headers: Mapping[str, str] | None = None
) -> Answered:
    """Send a request to an application in this process, and tell what it made the database do.

    Args:
        app: The application, with `install(app, db)`.
        url: A path with its query, as `/heroes?age__gte=20`.
        method: GET or HEAD; others would change something.
        headers: What the request says besides, as `Authorization`.

    Raises:
        ConfigError: There is no such route, or the application has no database.
        Unavailable: The database does not answer.
    """
    if method.upper() not in _METHODS:
        raise ConfigError(
            f"{method} may change something.", hint="Only GET and HEAD requests are explained."
        )
    db = getattr(app.state, "sqlmodelkit", None)
    if not isinstance(db, Database):
        raise ConfigError("The application has no database.", hint="Call install(app, db).")
    scope = _scope(app, url, method.upper(), headers or {})
    async with app.router.lifespan_context(app):
        with capturing(db) as sent:
            status, body = await _send(app, scope)
        route = _route(scope)
        with translating():
            async with db.engine.connect() as connection:
                statements, advice = [], []
                for one in dict.fromkeys(map(_Hashed, sent)):
                    plan = await explain(connection, one.sent) if one.sent.reads else []
                    statements.append((one.sent, tuple(plan)))
                    advice += await advise(connection, one.sent, metadata=db.base.metadata)
        described = _plan(route, db.engine.dialect.name)
    refusal = "" if status < HTTPStatus.BAD_REQUEST else body[:_SHOWN].decode(errors="replace")
    found = tuple(dict.fromkeys(advice))
    return Answered(status, refusal, described, tuple(statements), found)


class _Hashed:
    """A statement that is told once, however often it is sent."""

    def __init__(self, sent: Sent) -> None:
        self.sent = sent

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Hashed) and self.sent.text == other.sent.text

    def __hash__(self) -> int:
        return hash(self.sent.text)


def _scope(app: FastAPI, url: str, method: str, headers: Mapping[str, str]) -> dict[str, Any]:
    parts = urlsplit(url)
    sent = {"host": parts.netloc or "localhost", "accept": "application/json", **headers}
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": parts.scheme or "http",
        "path": unquote(parts.path),
        "raw_path": parts.path.encode(),
        "root_path": "",
        "query_string": parts.query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in sent.items()],
        "client": ("127.0.0.1", 0),
        "server": ("localhost", 80),
        "state": {},
        "app": app,
    }


def _route(scope: dict[str, Any]) -> APIRoute | None:
    route = scope.get("route")
    if route is None:
        raise ConfigError(
            f"The application has no route {scope['method']} {scope['path']}.",
            hint="Write it as /heroes?age__gte=20.",
        )
    return route if isinstance(route, APIRoute) else None


async def _send(app: FastAPI, scope: dict[str, Any]) -> tuple[int, bytes]:
    status = 0
    body = bytearray()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        elif message["type"] == "http.response.body":
            body.extend(message.get("body", b"")[: max(0, _SHOWN - len(body))])

    try:
        await app(scope, receive, send)
    except Exception as error:  # noqa: BLE001 - what the endpoint raises is what is to be told
        return HTTPStatus.INTERNAL_SERVER_ERROR, f"{type(error).__name__}: {error}".encode()
    return status, bytes(body)


def _plan(route: APIRoute | None, dialect: str) -> str:
    """Return how the response of a route is read, where it is what a service answers."""
    shown = route.response_model if route is not None else None
    models = {*_models(shown)}
    for service in _services(ServiceBase):
        public = getattr(service, "public", None)
        if public in models:
            found: str = service.plan(public).explain(dialect, spare=service.spare)
            return found
    return ""


def _models(annotation: Any) -> Iterable[type[BaseModel]]:
    """Yield a response model, or that of a page or list."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        arguments = annotation.__pydantic_generic_metadata__["args"]
        yield from (inner for argument in arguments for inner in _models(argument))
    else:
        yield from (inner for argument in get_args(annotation) for inner in _models(argument))


def _services(parent: type[Any]) -> Iterable[type[Any]]:
    for service in parent.__subclasses__():
        yield service
        yield from _services(service)
