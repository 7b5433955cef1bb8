"""Errors as HTTP answers: the only place that knows status codes."""

import json
import re
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exception_handlers import http_exception_handler, request_validation_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from sqlmodelkit import errors as err
from sqlmodelkit.drivers import translate

from .idempotency import HEADER as IDEMPOTENCY_KEY
from .idempotency import IdempotencyKeyRequired
from .preconditions import HEADER as IF_MATCH
from .preconditions import PreconditionFailed, PreconditionRequired

STATUS: dict[type[err.SQLModelKitError], HTTPStatus] = {
    err.BadRequest: HTTPStatus(422),
    err.NotFound: HTTPStatus.NOT_FOUND,
    err.Conflict: HTTPStatus.CONFLICT,
    err.Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    err.QueryTimeout: HTTPStatus.GATEWAY_TIMEOUT,
    IdempotencyKeyRequired: HTTPStatus.BAD_REQUEST,
    PreconditionFailed: HTTPStatus.PRECONDITION_FAILED,
    PreconditionRequired: HTTPStatus.PRECONDITION_REQUIRED,
}
"""The status of each branch; errors of no branch here are the developer's, and stay a 500."""

RETRY_AFTER_SECONDS = 1
_IN_QUERY = (err.FilterError, err.SortError, err.PageError, err.CursorError)
_HINT_FOR_DEVELOPERS = (err.FilterError, err.SortError, err.Unavailable)
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_SHOWN = ("loc", "msg", "type", "ctx")
_UNROUTED = {
    (404, "Not Found"): ("path", "There is nothing at this path."),
    (405, "Method Not Allowed"): ("method", "This path does not have the method."),
}
"""Where, and what is wrong, when there is no route: Starlette's own error, not FastAPI's."""
_UNPARSED = "There was an error parsing the body"


class ErrorItem(BaseModel):
    """One thing that is wrong with a request: where, what, and a name for programs."""

    loc: list[str | int]
    msg: str
    type: str


class ErrorBody(BaseModel):
    """The body of an error answer, in the form of FastAPI's validation errors."""

    detail: list[ErrorItem]


class _Answer(JSONResponse):
    """JSON in ASCII: the name of a field may be what UTF-8 cannot write, such as half a pair."""

    def render(self, content: Any) -> bytes:
        return json.dumps(content, separators=(",", ":")).encode("ascii")


def add_handlers(app: FastAPI) -> None:
    """Answer sqlmodelkit's and SQLAlchemy's errors instead of failing with a 500.

    Where the application has FastAPI's own handlers, what FastAPI refuses gets the same form, and
    no value that was sent is sent back.
    """
    for branch in STATUS:
        app.add_exception_handler(branch, _answer)
    app.add_exception_handler(SQLAlchemyError, _answer)
    handlers = app.exception_handlers
    if handlers.get(RequestValidationError) is request_validation_exception_handler:
        app.add_exception_handler(RequestValidationError, _answer_invalid)
    if handlers.get(HTTPException) is http_exception_handler:
        app.add_exception_handler(HTTPException, _answer_refused)


async def _answer(request: Request, error: Exception) -> Response:
    ours = translate(error)
    status = status_of(ours)
    if ours is None or status is None:
        raise error
    # Who does again what may have been done already may do it twice.
    again = isinstance(ours, err.Unavailable) and not isinstance(ours, err.CommitUnknown)
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)} if again else {}
    body = ErrorBody(detail=error_items(ours, request.method))
    return _Answer(body.model_dump(), status_code=status, headers=headers)


async def _answer_invalid(request: Request, error: Exception) -> Response:
    """Say what is wrong with a request; what was sent may be a password, and stays out."""
    problems = error.errors() if isinstance(error, RequestValidationError) else []
    shown = [{name: one[name] for name in _SHOWN if name in one} for one in problems]
    return _Answer({"detail": jsonable_encoder(shown)}, status_code=422)


async def _answer_refused(request: Request, error: Exception) -> Response:
    """Answer what FastAPI refuses itself in our form; what the application raises stays its own.

    A body that is not UTF-8 is as any other that is not JSON; FastAPI has a 400 for it.
    """
    if not isinstance(error, HTTPException):
        raise error
    if error.__cause__ is not None and (error.status_code, error.detail) == (400, _UNPARSED):
        item = ErrorItem(loc=["body"], msg="The body is not JSON in UTF-8.", type="json_invalid")
        return _Answer(ErrorBody(detail=[item]).model_dump(), status_code=422)
    # FastAPI's own kind, which an application raises, may have anything for its detail, a list too.
    detail: Any = error.detail
    unrouted = _UNROUTED.get((error.status_code, detail)) if isinstance(detail, str) else None
    if type(error) is not HTTPException or unrouted is None:
        return await http_exception_handler(request, error)
    place, message = unrouted
    kind = HTTPStatus(error.status_code).name.lower()
    body = ErrorBody(detail=[ErrorItem(loc=[place], msg=message, type=kind)])
    return _Answer(body.model_dump(), status_code=error.status_code, headers=error.headers)


def status_of(error: err.SQLModelKitError | None) -> HTTPStatus | None:
    """Return the status for an error, None for those that are the developer's."""
    return status_for(type(error))


def status_for(kind: type) -> HTTPStatus | None:
    """Return the status for a class of errors."""
    return next((STATUS[part] for part in kind.__mro__ if part in STATUS), None)


def error_items(error: err.SQLModelKitError, method: str) -> list[ErrorItem]:
    """Describe an error for the client: an item for each field it is about."""
    message = error.message if isinstance(error, _HINT_FOR_DEVELOPERS) else str(error)
    kind = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(error).__name__).lower()
    fields = ("sort",) if isinstance(error, err.SortError) else error.fields
    start: list[str | int] = [_part(error, method)]
    if isinstance(error, err.InvalidValue) and error.row is not None:
        start.append(error.row)
    places = [[*start, field] for field in fields] or [start]
    return [ErrorItem(loc=place, msg=message, type=kind) for place in places]


def _part(error: err.SQLModelKitError, method: str) -> str:
    if error.fields in ((IF_MATCH,), (IDEMPOTENCY_KEY,)):
        return "header"
    if isinstance(error, _IN_QUERY):
        return "query"
    if isinstance(error, err.NotFound) and not error.fields:
        return "path"
    return "body" if method in _WITH_BODY else "path"
