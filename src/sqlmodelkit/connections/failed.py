"""What an error of a driver means for its connection, and for whoever asked."""

from sqlalchemy import ExceptionContext

from sqlmodelkit.drivers import is_read_only, is_write_refused
from sqlmodelkit.errors import (
    ConfigError,
    ConnectionLost,
    InvalidValue,
    QueryTimeout,
    SQLModelKitError,
)

from .begun import READ_ONLY
from .undone import note


def understand(context: ExceptionContext) -> None:
    note(context)
    original = context.original_exception
    connection = context.connection
    if connection is not None and connection.get_execution_options().get(READ_ONLY):
        if is_write_refused(original):
            raise ConfigError(
                "A unit of work that only reads would write.", hint="Leave out read_only=True."
            ) from original
    elif is_read_only(original):
        # The primary has become a standby: every pooled connection leads to the wrong server.
        context.is_disconnect = True
    if isinstance(original, TimeoutError):
        # The driver has given up on a server that is silent: the connection is of no use.
        context.is_disconnect = True
    ours = refusal(original)
    if ours is not None:
        raise ours from original


def refusal(error: BaseException) -> SQLModelKitError | None:
    """Say what an error means that a driver raises before or without an answer of the server."""
    if isinstance(error, TimeoutError):
        return QueryTimeout()
    if isinstance(error, OSError):
        return ConnectionLost()
    if isinstance(error, (OverflowError, UnicodeEncodeError)):
        return InvalidValue("A value does not fit the type of its column.")
    return None
