"""The FastAPI edge: dependencies, routers, error answers and health. Ring 10.

Start at `install`.
"""

from .deps import SessionDep, database_of, scoped_by, service, unit_with
from .describing import error_responses
from .handlers import ErrorBody, ErrorItem
from .health import Check
from .idempotency import (
    Idempotency,
    IdempotencyKeyRequired,
    IdempotencyKeyReused,
    Once,
    idempotent,
)
from .install import install
from .preconditions import PreconditionFailed, PreconditionRequired
from .responder import Responder, responder
from .routers import Operation, crud_router

__all__ = [
    "Check",
    "ErrorBody",
    "ErrorItem",
    "Idempotency",
    "IdempotencyKeyRequired",
    "IdempotencyKeyReused",
    "Once",
    "Operation",
    "PreconditionFailed",
    "PreconditionRequired",
    "Responder",
    "SessionDep",
    "crud_router",
    "database_of",
    "error_responses",
    "idempotent",
    "install",
    "responder",
    "scoped_by",
    "service",
    "unit_with",
]
