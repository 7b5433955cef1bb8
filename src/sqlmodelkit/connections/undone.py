"""What a database undoes by itself in the middle of a transaction, and the COMMIT that would hide it.

PostgreSQL answers a COMMIT after a failed statement with ROLLBACK, and no error. MySQL undoes a
transaction to end a deadlock, and SQLite some that meet a full disk; what is written later is then
in another one. Who catches the error of the statement and goes on would take all for stored.
"""

from typing import Any

from sqlalchemy import Connection, ExceptionContext
from sqlalchemy import exc as sa

from sqlmodelkit.drivers import failed_before, is_deadlock, translate
from sqlmodelkit.errors import SerializationFailure

UNDONE = "sqlmodelkit_undone"
"""What a connection's `info` says of a transaction that is over: which, and by what error."""


def note(context: ExceptionContext) -> None:
    """Note that a statement has failed, and that its transaction is undone, or may be."""
    connection = context.connection
    if connection is None or connection.invalidated or not connection.in_transaction():
        return
    if _may_be_undone(connection, context.original_exception):
        error = context.sqlalchemy_exception
        ours = None if error is None else translate(error)
        # To be done again is also what comes of it later.
        kept = ours if isinstance(ours, SerializationFailure) else failed_before()
        connection.info[UNDONE] = (connection.get_transaction(), kept)
        if connection.dialect.name == "sqlite":
            # Outside of a transaction each later statement would be stored at once.
            connection.connection.cursor().execute("BEGIN")


def _may_be_undone(connection: Connection, error: BaseException) -> bool:
    match connection.dialect.name:
        case "postgresql":
            return True
        case "sqlite":
            driver: Any = connection.connection.driver_connection
            return not driver.in_transaction
        case _:
            return is_deadlock(error)


def relieve(connection: Connection, name: str, context: None) -> None:
    """Forget a statement that has failed since a savepoint, to which PostgreSQL has gone back."""
    if connection.dialect.name == "postgresql" and not connection.invalidated:
        connection.info.pop(UNDONE, None)


def confirm(connection: Connection) -> None:
    """Refuse to commit what is no longer there.

    Raises:
        SerializationFailure: The database has undone it for the sake of another transaction.
        ConfigError: It has failed, and who caught the error went on.
    """
    if connection.invalidated:
        return  # SQLAlchemy refuses it.
    transaction, error = connection.info.pop(UNDONE, (None, None))
    if error is None or transaction is not connection.get_transaction():
        return
    if connection.dialect.name == "postgresql" and _answers(connection):
        return
    # Whose COMMIT has failed takes itself for ended, and would leave the rest to the next user.
    connection.connection.rollback()
    raise error


def _answers(connection: Connection) -> bool:
    """Tell whether the transaction goes on: of a driver's own errors the server has not heard."""
    try:
        connection.exec_driver_sql("SELECT 1")
    except sa.DBAPIError:
        connection.info.pop(UNDONE, None)
        return False
    return True
