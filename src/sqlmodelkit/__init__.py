"""The async database layer for FastAPI on SQLModel: the response model is the query plan."""

from .batches import RowResult
from .database import Database, ServerInfo
from .errors import (
    BadRequest,
    CheckViolation,
    ConfigError,
    Conflict,
    ConnectionLost,
    CursorError,
    FilterError,
    ForeignKeyViolation,
    InvalidValue,
    LoadingError,
    MultipleFound,
    NotFound,
    NotLoaded,
    PageError,
    PoolTimeout,
    QueryTimeout,
    SerializationFailure,
    SortError,
    SQLModelKitError,
    StaleVersion,
    TooManyQueries,
    Unavailable,
    UniqueViolation,
)
from .events import QueryEvent
from .filters import all_of, any_of, not_, search, where
from .models import IntKey, Scoped, SoftDelete, Timestamps, UUIDKey, Version, unique_live
from .pages import CountedPage, CursorPage, Page
from .plan import Depth, Limit, Plan
from .scopes import Scope
from .service import ServiceBase
from .sessions import AsyncSession
from .settings import DatabaseSettings

__all__ = [
    "AsyncSession",
    "BadRequest",
    "CheckViolation",
    "ConfigError",
    "Conflict",
    "ConnectionLost",
    "CountedPage",
    "CursorError",
    "CursorPage",
    "Database",
    "DatabaseSettings",
    "Depth",
    "FilterError",
    "ForeignKeyViolation",
    "IntKey",
    "InvalidValue",
    "Limit",
    "LoadingError",
    "MultipleFound",
    "NotFound",
    "NotLoaded",
    "Page",
    "PageError",
    "Plan",
    "PoolTimeout",
    "QueryEvent",
    "QueryTimeout",
    "RowResult",
    "SQLModelKitError",
    "Scope",
    "Scoped",
    "SerializationFailure",
    "ServerInfo",
    "ServiceBase",
    "SoftDelete",
    "SortError",
    "StaleVersion",
    "Timestamps",
    "TooManyQueries",
    "UUIDKey",
    "Unavailable",
    "UniqueViolation",
    "Version",
    "all_of",
    "any_of",
    "not_",
    "search",
    "unique_live",
    "where",
]
