"""What OpenAPI says about answers and headers, in one place, so that it is what is answered.

Start at `error_responses`.
"""

from typing import Any

from sqlmodelkit import errors as err

from .handlers import ErrorBody, status_for
from .idempotency import REPLAYED
from .preconditions import HEADER as IF_MATCH

Responses = dict[int | str, dict[str, Any]]

_RETRY_AFTER = {
    "Retry-After": {
        "description": "Seconds after which it may be tried again; not given when what was asked "
        "for may have been done.",
        "schema": {"type": "integer"},
    }
}
_ETAG = {"ETag": {"description": "The state of what is answered.", "schema": {"type": "string"}}}


def error_responses(*kinds: type[err.SQLModelKitError], reading: bool = False) -> Responses:
    """Return what OpenAPI says about an endpoint's errors, for `responses=`.

    ```python
    @app.post("/orders", responses=error_responses(NotFound, Conflict))
    ```

    Args:
        kinds: What the endpoint raises. That the database cannot answer (503, 504) is always told.
        reading: Whether a responder answers what it has read, which has an ETag, and may be 304.

    Raises:
        ConfigError: An error has no status: it is the developer's, and stays a plain 500.
    """
    responses: Responses = {}
    for kind in (*kinds, err.Unavailable, err.QueryTimeout):
        status = status_for(kind)
        if status is None:
            raise err.ConfigError(
                f"{kind.__name__} is no answer to a client.", hint="Leave it out of `responses`."
            )
        described = str(kind.__doc__).splitlines()[0]
        responses.setdefault(int(status), {"model": ErrorBody, "description": described})
        if issubclass(kind, err.Unavailable):
            responses[int(status)]["headers"] = _RETRY_AFTER
    if reading:
        responses |= tagged(200) | {
            304: {"description": "It is what If-None-Match says.", "headers": _ETAG}
        }
    return responses


def tagged(status: int) -> Responses:
    """Return what OpenAPI says about an answer with an ETag, beside its model."""
    return {status: {"headers": _ETAG}}


def replayed(status: int) -> Responses:
    """Return what OpenAPI says about an answer that may be one that was given before."""
    described = {"description": "Whether it was answered before.", "schema": {"const": "true"}}
    return {status: {"headers": {REPLAYED: described}}}


def if_none_match() -> dict[str, Any]:
    """Describe the header If-None-Match as OpenAPI does."""
    return _header("If-None-Match", "The ETag of what is known already: 304 while it is that.")


def if_match(*, required: bool) -> dict[str, Any]:
    """Describe the header If-Match as OpenAPI does."""
    described = "The ETag of what was read: the row is changed only while it is that."
    return _header(IF_MATCH, described, required=required)


def _header(name: str, description: str, *, required: bool = False) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": required,
        "schema": {"type": "string"},
        "description": description,
    }
