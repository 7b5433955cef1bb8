"""Errors as HTTP answers: the only place that knows status codes."""

import re
from collections.abc import Sequence
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import Response

from sqlmodelkit import errors as err
from sqlmodelkit.drivers import translate

from .preconditions import HEADER, PreconditionFailed, PreconditionRequired

STATUS: dict[type[err.SQLModelKitError], HTTPStatus] = {
    err.BadRequest: HTTPStatus(422),
    err.NotFound: HTTPStatus.NOT_FOUND,
    err.Conflict: HTTPStatus.CONFLICT,
    err.Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    err.QueryTimeout: HTTPStatus.GATEWAY_TIMEOUT,
    PreconditionFailed: HTTPStatus.PRECONDITION_FAILED,
    PreconditionRequired: HTTPStatus.PRECONDITION_REQUIRED,
}
"""The status of each branch; errors of no branch here are the developer's, and stay a 500."""

RETRY_AFTER_SECONDS = 1
_IN_QUERY = (err.FilterError, err.SortError, err.PageError, err.CursorError)
_HINT_FOR_DEVELOPERS = (err.FilterError, err.SortError, err.Unavailable)
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})


class ErrorItem(BaseModel):
    """One thing that is wrong with a request: where, what, and a name for programs."""

    loc: list[str | int]
    msg: str
    type: str


class ErrorBody(BaseModel):
    """The body of an error answer, in the form of FastAPI's validation errors."""

    detail: list[ErrorItem]


def add_handlers(app: FastAPI) -> None:
    """Answer sqlmodelkit's and SQLAlchemy's errors instead of failing with a 500."""
    for branch in STATUS:
        app.add_exception_handler(branch, _answer)
    app.add_exception_handler(SQLAlchemyError, _answer)


async def _answer(request: Request, error: Exception) -> Response:
    ours = translate(error)
    status = status_of(ours)
    if ours is None or status is None:
        raise error
    # Who does again what may have been done already may do it twice.
    again = isinstance(ours, err.Unavailable) and not isinstance(ours, err.CommitUnknown)
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)} if again else {}
    return JSONResponse(
        ErrorBody(detail=error_items(ours, request.method)).model_dump(),
        status_code=status,
        headers=headers,
    )


def status_of(error: err.SQLModelKitError | None) -> HTTPStatus | None:
    """Return the status for an error, None for those that are the developer's."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), None)


def error_items(error: err.SQLModelKitError, method: str) -> list[ErrorItem]:
    """Describe an error for the client: an item for each field it is about."""
    message = error.message if isinstance(error, _HINT_FOR_DEVELOPERS) else str(error)
    kind = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(error).__name__).lower()
    fields = ("sort",) if isinstance(error, err.SortError) else error.fields
    places: list[list[str | int]] = [[_part(error, method), field] for field in fields]
    return [
        ErrorItem(loc=place, msg=message, type=kind) for place in places or [[_part(error, method)]]
    ]


def _part(error: err.SQLModelKitError, method: str) -> str:
    if error.fields == (HEADER,):
        return "header"
    if isinstance(error, _IN_QUERY):
        return "query"
    if isinstance(error, err.NotFound) and not error.fields:
        return "path"
    return "body" if method in _WITH_BODY else "path"


def error_responses(
    kinds: Sequence[type[err.SQLModelKitError]],
) -> dict[int | str, dict[str, object]]:
    """Return what OpenAPI says about these errors, for `responses=`."""
    responses: dict[int | str, dict[str, object]] = {}
    for kind in kinds:
        status = STATUS[kind]
        responses[int(status)] = {"model": ErrorBody, "description": str(kind.__doc__)}
    return responses
