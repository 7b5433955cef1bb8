"""The async database layer for FastAPI on SQLModel: the response model is the query plan."""

from .batches import RowResult
from .database import Database, ServerInfo
from .errors import (
    BadRequest,
    CheckViolation,
    CommitUnknown,
    ConfigError,
    Conflict,
    ConnectionLost,
    CursorError,
    FilterError,
    ForeignKeyViolation,
    InvalidValue,
    LoadingError,
    Locked,
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
from .models import (
    IntKey,
    Scoped,
    SoftDelete,
    StoredAnswer,
    Timestamps,
    UUIDKey,
    Version,
    unique_live,
)
from .pages import CountedPage, CursorPage, Page
from .plan import Depth, Limit, Plan
from .scopes import Scope
from .service import ServiceBase
from .sessions import AsyncSession
from .settings import DatabaseSettings
from .transactions import Retry, advisory_lock
from .units import UnitOfWork

__all__ = [
    "AsyncSession",
    "BadRequest",
    "CheckViolation",
    "CommitUnknown",
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
    "Locked",
    "MultipleFound",
    "NotFound",
    "NotLoaded",
    "Page",
    "PageError",
    "Plan",
    "PoolTimeout",
    "QueryEvent",
    "QueryTimeout",
    "Retry",
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
    "StoredAnswer",
    "Timestamps",
    "TooManyQueries",
    "UUIDKey",
    "Unavailable",
    "UniqueViolation",
    "UnitOfWork",
    "Version",
    "advisory_lock",
    "all_of",
    "any_of",
    "not_",
    "search",
    "unique_live",
    "where",
]
