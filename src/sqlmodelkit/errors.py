"""What can go wrong, as one tree: a branch for each way a caller reacts. Ring 0.

```text
SQLModelKitError(message, *, hint)
├─ ConfigError            the developer's mistake: a setting, a declaration, a model
├─ BadRequest             the caller's mistake
│  ├─ FilterError · SortError · PageError · CursorError   in how rows were asked for
│  └─ InvalidValue · CheckViolation                       in a value to be stored
├─ NotFound               no such row, or none in scope
├─ Conflict               the request is fine, the data disagrees
│  └─ UniqueViolation · ForeignKeyViolation · StaleVersion · MultipleFound
├─ Unavailable            nothing is wrong with the request; trying later may work
│  └─ ConnectionLost · CommitUnknown · PoolTimeout · SerializationFailure · QueryTimeout · Locked
└─ LoadingError           a relation was not asked for, or too much was
   └─ NotLoaded · TooManyQueries
```

Start at `SQLModelKitError`. `drivers.translate` turns database errors into these.
"""

from collections.abc import Callable, Iterable
from typing import Any

UNFIT = (ValueError, TypeError, LookupError, OverflowError, AttributeError)
"""What a column's type raises for a value that it cannot take."""


class SQLModelKitError(Exception):
    """Something in the data layer failed."""

    def __init__(
        self,
        message: str | None = None,
        *,
        hint: str | None = None,
        fields: Iterable[str] = (),
        **details: Any,
    ) -> None:
        """Keep the message and what it is about as attributes.

        Args:
            message: What failed, with the value; the class's docstring when left out.
            hint: What to do about it.
            fields: The model's fields it is about, empty when none is known.
            details: Values of the attributes that the concrete class declares.
        """
        self.message = message or (type(self).__doc__ or type(self).__name__).splitlines()[0]
        self.hint = hint
        self.fields = tuple(fields)
        for name, value in details.items():
            if not hasattr(type(self), name):
                raise TypeError(f"{type(self).__name__} has no attribute {name!r}")
            setattr(self, name, value)
        self._details = details
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message

    def __reduce__(self) -> tuple[Callable[..., "SQLModelKitError"], tuple[Any, ...]]:
        return _rebuild, (type(self), self.message, self.hint, self.fields, self._details)


def _rebuild(
    cls: type[SQLModelKitError],
    message: str,
    hint: str | None,
    fields: tuple[str, ...],
    details: dict[str, Any],
) -> SQLModelKitError:
    return cls(message, hint=hint, fields=fields, **details)


class ConfigError(SQLModelKitError):
    """A setting, a model or a declaration is wrong."""


class BadRequest(SQLModelKitError):
    """The request asks for something that cannot be done."""


class FilterError(BadRequest):
    """A filter names an unknown field or operator, or has a value of the wrong type."""


class SortError(BadRequest):
    """A sort names a field that cannot be sorted by."""


class PageError(BadRequest):
    """A limit or an offset is out of bounds."""


class CursorError(BadRequest):
    """A cursor was altered, or was given for another list."""


class InvalidValue(BadRequest):
    """A value does not fit its column.

    Attributes:
        model: The table model.
        row: Where several rows were given, which of them it is, counted from 0.
        sqlstate: What the database calls it, if it was asked.
    """

    model: str | None = None
    row: int | None = None
    sqlstate: str | None = None

    def in_row(self, row: int) -> "InvalidValue":
        """Return the same, said of one of several rows."""
        details = {**self._details, "row": row}
        return InvalidValue(self.message, hint=self.hint, fields=self.fields, **details)


class CheckViolation(BadRequest):
    """A value breaks a check constraint."""

    model: str | None = None
    constraint: str | None = None
    sqlstate: str | None = None


class NotFound(SQLModelKitError):
    """The row was not found."""

    model: str | None = None
    key: Any = None


class Conflict(SQLModelKitError):
    """The data as it stands does not allow this."""


class UniqueViolation(Conflict):
    """A row with these values already exists."""

    model: str | None = None
    constraint: str | None = None
    sqlstate: str | None = None


class ForeignKeyViolation(Conflict):
    """A row refers to a missing row, or is still referred to.

    `missing` is True when the row referred to is missing, False when a row that is still referred
    to should be removed.
    """

    model: str | None = None
    constraint: str | None = None
    sqlstate: str | None = None
    missing: bool = True


class StaleVersion(Conflict):
    """The row was changed or removed by somebody else in the meantime."""

    model: str | None = None


class MultipleFound(Conflict):
    """Several rows match where at most one was expected."""

    model: str | None = None


class Unavailable(SQLModelKitError):
    """The database cannot answer at the moment."""


class ConnectionLost(Unavailable):
    """The database cannot be reached."""


class CommitUnknown(Unavailable):
    """The connection was lost during the commit: it may be stored or not.

    The only error after which doing it again may do it twice.
    """


class PoolTimeout(Unavailable):
    """No connection became free in time."""


class SerializationFailure(Unavailable):
    """The transaction met another one and was rolled back; it can be run again."""


class QueryTimeout(Unavailable):
    """A statement took longer than it may."""


class Locked(Unavailable):
    """Somebody else holds the lock."""


class LoadingError(SQLModelKitError):
    """Data was read that had not been loaded."""


class NotLoaded(LoadingError):
    """A relation or column was not loaded."""

    model: str | None = None
    field: str | None = None


class TooManyQueries(LoadingError):
    """More statements were sent than the budget allows."""
