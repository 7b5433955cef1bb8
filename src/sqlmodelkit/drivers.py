"""What a database driver's error means: SQLSTATE or errno first, text only for names. Ring 1.

Start at `translate`. The codes were measured on asyncpg, aiosqlite, asyncmy and aiomysql;
PostgreSQL's are in its manual's appendix A, MySQL's and MariaDB's in their error references,
SQLite's at sqlite.org/rescode.html.
"""

import re
from dataclasses import dataclass
from typing import Any

from sqlalchemy import exc as sa
from sqlalchemy.orm.exc import DetachedInstanceError, StaleDataError

from . import errors as err
from .constraints import Catalogue, Known, catalogue

_SQLSTATES: dict[str, type[err.SQLModelKitError]] = {
    "23505": err.UniqueViolation,
    "23P01": err.UniqueViolation,
    "23503": err.ForeignKeyViolation,
    "23001": err.ForeignKeyViolation,
    "23502": err.InvalidValue,
    "23514": err.CheckViolation,
    "40001": err.SerializationFailure,
    "40P01": err.SerializationFailure,
    "55P03": err.QueryTimeout,
    "57014": err.QueryTimeout,
    "25006": err.ConnectionLost,
    "25P03": err.ConnectionLost,
    "28000": err.ConfigError,
    "28P01": err.ConfigError,
    "3D000": err.ConfigError,
}
_SQLSTATE_CLASSES: dict[str, type[err.SQLModelKitError]] = {
    "08": err.ConnectionLost,
    "22": err.InvalidValue,
    "53": err.ConnectionLost,
    "57": err.ConnectionLost,
}
_ERRNOS: dict[int, type[err.SQLModelKitError]] = {
    **dict.fromkeys((1062, 1169, 1586), err.UniqueViolation),
    **dict.fromkeys((1216, 1217, 1451, 1452), err.ForeignKeyViolation),
    **dict.fromkeys((3819, 4025), err.CheckViolation),
    **dict.fromkeys((1048, 1264, 1265, 1292, 1364, 1365, 1366, 1406, 1690), err.InvalidValue),
    **dict.fromkeys((1020, 1205, 1213), err.SerializationFailure),
    **dict.fromkeys((1969, 3024), err.QueryTimeout),
    **dict.fromkeys((1040, 1053, 1203, 1290, 1836, 1927, 2002, 2003, 2006, 2013, 2014, 2055),
                    err.ConnectionLost),
    **dict.fromkeys((1044, 1045, 1049, 1698), err.ConfigError),
}  # fmt: skip
_RESULT_CODES: dict[int, type[err.SQLModelKitError]] = {
    **dict.fromkeys((1555, 2067, 2579), err.UniqueViolation),
    **dict.fromkeys((787, 1811), err.ForeignKeyViolation),
    275: err.CheckViolation,
    **dict.fromkeys((1299, 3091), err.InvalidValue),
}
_PRIMARY_RESULT_CODES: dict[int, type[err.SQLModelKitError]] = {
    **dict.fromkeys((5, 6), err.SerializationFailure),
    9: err.QueryTimeout,
    **dict.fromkeys((18, 20), err.InvalidValue),
    **dict.fromkeys((8, 10, 11, 13, 14, 26), err.ConnectionLost),
}
_BUSY = (5, 6)
# Of PostgreSQL: in_failed_sql_transaction.
_FAILED_BEFORE = "25P02"
_STILL_REFERRED = frozenset({1217, 1451})
_NO_SAVEPOINT = 1305
_DEADLOCKS = (1020, 1213)
# What the drivers say by themselves, without an answer of the server.
_CLIENT_ERRNOS = range(2000, 3000)
_CLIENT_SQLSTATES = "08"
_MYSQL_KEY = "PRIMARY"
_TARGET = re.compile(r"\s*(?:INSERT INTO|UPDATE|DELETE FROM)\s+[`\"]?(\w+)")
_INSERTED = re.compile(r"\s*INSERT INTO\s+\S+\s+\(([^)]*)\)")
_UPDATED = re.compile(
    r"\s*UPDATE\s+\S+\s+SET\s+(.*?)(?:\s+WHERE\s.*|\s+RETURNING\s.*)?$", re.DOTALL
)
_POOL_HINT = (
    "Pass a session on instead of opening a second one inside it (SQLite has one writer); hold "
    "it shorter; or raise DB_POOL_SIZE or DB_POOL_TIMEOUT."
)


@dataclass(frozen=True, slots=True)
class _Names:
    """What the driver says the error is about, each part where it says so."""

    constraint: str | None = None
    table: str | None = None
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _About:
    """What the error is about, in the words of the models."""

    model: str | None
    fields: tuple[str, ...]
    constraint: str | None
    missing: bool = False


def translate(error: BaseException) -> err.SQLModelKitError | None:
    """Say in our terms what an SQLAlchemy or driver error means; None when it is not one."""
    match error:
        case err.SQLModelKitError():
            return error
        case sa.DBAPIError():
            return failed_before() if sqlstate(error) == _FAILED_BEFORE else _classify(error)
        case StaleDataError():
            return err.StaleVersion(hint="Read it again and repeat the change.")
        case sa.TimeoutError():
            return err.PoolTimeout(hint=_POOL_HINT)
        case sa.PendingRollbackError():
            return failed_before()
        case (
            DetachedInstanceError()
            | sa.MissingGreenlet()
            | sa.StatementError(orig=sa.MissingGreenlet())
        ):
            return _late_access()
        case sa.StatementError() if isinstance(error.orig, err.UNFIT):
            return err.InvalidValue("A value does not fit the type of its column.")
    return None


def failed_before() -> err.ConfigError:
    """Return the error of a unit of work that goes on after a statement of it has failed."""
    return err.ConfigError(
        "The unit of work has failed before; nothing of it can be kept.",
        hint="Put what may fail into `async with session.savepoint():`.",
    )


def sqlstate(error: sa.DBAPIError) -> str | None:
    """Return the five-letter SQLSTATE of an error, None where the driver has none."""
    return getattr(error.orig, "sqlstate", None)


def is_read_only(error: BaseException | None) -> bool:
    """Tell whether the server refused a write because it is, or has become, a standby."""
    return getattr(error, "sqlstate", None) == "25006" or _errno(error) in (1290, 1836)


def is_busy(error: BaseException | None) -> bool:
    """Tell whether SQLite would not wait any longer for a lock of somebody else."""
    code = _result_code(error)
    return code is not None and code & 0xFF in _BUSY


def is_deadlock(error: BaseException | None) -> bool:
    """Tell whether MySQL or MariaDB has undone a transaction so that another one can go on."""
    return _errno(error) in _DEADLOCKS


def is_locked(error: sa.DBAPIError) -> bool:
    """Tell whether a statement that was not to wait met a row that somebody else holds."""
    return sqlstate(error) == "55P03" or _errno(error.orig) in (1205, 3572)


def is_write_refused(error: BaseException | None) -> bool:
    """Tell whether a write was refused in a transaction that only reads."""
    code = _result_code(error)
    return is_read_only(error) or _errno(error) == 1792 or (code is not None and code & 0xFF == 8)


def is_unanswered(error: BaseException) -> bool:
    """Tell whether the database was asked and did not answer, so that it may have done it or not.

    What a server answers is a refusal, and what a driver did not send was not done.
    """
    if isinstance(error, (err.ConnectionLost, err.QueryTimeout)):
        # The driver has given up; a server's own limit comes as an error of the driver.
        return isinstance(error.__cause__, OSError)
    if not isinstance(error, sa.DBAPIError):
        return False
    errno, state = _errno(error.orig), sqlstate(error)
    if any(kind.__name__ == "InterfaceError" for kind in type(error.orig).__mro__):
        return False
    if errno is not None:
        return errno in _CLIENT_ERRNOS
    if state is not None:
        return state.startswith(_CLIENT_SQLSTATES)
    return error.connection_invalidated


def _late_access() -> err.NotLoaded:
    return err.NotLoaded(
        "A relation or column that was not loaded was read, perhaps after its unit of work.",
        hint="Name it in load=, or read with into= a response model that has it.",
    )


def _classify(error: sa.DBAPIError) -> err.SQLModelKitError | None:
    kind = _kind(error)
    state = sqlstate(error)
    if kind is None:
        return None
    if issubclass(kind, err.SerializationFailure):
        return kind(hint="Run the unit of work again.")
    if issubclass(kind, err.ConfigError):
        message, hint = _refusal(state, _errno(error.orig))
        return kind(message, hint=hint)
    if issubclass(kind, err.Unavailable):
        return kind()
    about = _about(error, kind)
    fields, model = about.fields, about.model
    if issubclass(kind, err.UniqueViolation):
        return kind(
            f"{model or 'A row'} with this {_and(fields) or 'value'} already exists.",
            fields=fields, model=model, constraint=about.constraint, sqlstate=state,
        )  # fmt: skip
    if issubclass(kind, err.ForeignKeyViolation):
        return _foreign_key(error, about)
    if issubclass(kind, err.CheckViolation):
        return kind(
            f"{_and(fields) or 'A value'} is not allowed.",
            fields=fields, model=model, constraint=about.constraint, sqlstate=state,
        )  # fmt: skip
    return kind(
        f"{_and(fields) or 'A value'} does not fit its column: {_misfit(error)}.",
        fields=fields, model=model, sqlstate=state,
    )  # fmt: skip


def _refusal(state: str | None, errno: int | None) -> tuple[str, str]:
    """Return why a server did not let us in, and what to do."""
    if state == "3D000" or errno == 1049:
        return (
            "The server has no database of the name in DATABASE_URL.",
            "Create it, or correct the name.",
        )
    if errno == 1044:
        return (
            "The server does not let this user into the database.",
            "Grant it, or check DATABASE_URL.",
        )
    return "The server refused the user or the password.", "Check DATABASE_URL."


def _kind(error: sa.DBAPIError) -> type[err.SQLModelKitError] | None:
    state, errno, code = sqlstate(error), _errno(error.orig), _result_code(error.orig)
    kind: type[err.SQLModelKitError] | None = None
    if errno == _NO_SAVEPOINT and "SAVEPOINT" in (error.statement or ""):
        # A deadlock has undone the transaction, and its savepoints with it.
        kind = err.SerializationFailure
    elif errno is not None:
        kind = _ERRNOS.get(errno)
    elif code is not None:
        kind = _RESULT_CODES.get(code) or _PRIMARY_RESULT_CODES.get(code & 0xFF)
    elif state:
        kind = _SQLSTATES.get(state) or _SQLSTATE_CLASSES.get(state[:2])
    if kind is None and error.connection_invalidated:
        return err.ConnectionLost
    return kind


def _errno(error: BaseException | None) -> int | None:
    first = error.args[0] if error and error.args else None
    return first if isinstance(first, int) and not hasattr(error, "sqlite_errorcode") else None


def _result_code(error: BaseException | None) -> int | None:
    code = getattr(error, "sqlite_errorcode", None)
    return code if isinstance(code, int) else None


def _names(error: sa.DBAPIError, state: str | None) -> _Names:
    # SQLAlchemy wraps asyncpg's error, which has the names; straight from the driver it comes bare.
    wrapped: Any = error.orig
    diagnosis = wrapped if hasattr(wrapped, "constraint_name") else wrapped and wrapped.__cause__
    if hasattr(diagnosis, "constraint_name"):
        column = diagnosis.column_name
        return _Names(diagnosis.constraint_name, diagnosis.table_name, (column,) if column else ())
    text = str(error.orig.args[-1]) if error.orig and error.orig.args else ""
    if _result_code(error.orig) is not None:
        return _sqlite_names(text)
    return _mysql_names(text)


def _sqlite_names(text: str) -> _Names:
    _, _, about = text.partition("constraint failed: ")
    if about.startswith("index "):
        return _Names(constraint=about.removeprefix("index ").strip("'"))
    if text.startswith("CHECK"):
        return _Names(constraint=about)
    pairs = [part.rpartition(".") for part in about.split(", ") if "." in part]
    if not pairs:
        return _Names()
    return _Names(table=pairs[0][0], columns=tuple(column for _, _, column in pairs))


def _mysql_names(text: str) -> _Names:
    # What users wrote comes before the names, so that names are looked for at the end.
    key = re.search(r" for key '(?:([^'.]+)\.)?([^'.]+)'$", text)
    if key is not None:
        return _Names(constraint=key[2], table=key[1])
    column = re.search(
        r"[Cc]olumn (?:`[^`]+`\.`([^`]+)`\.`([^`]+)`|'([^']+)')(?: at row \d+| cannot be null)$",
        text,
    )
    if column is not None:
        return _Names(table=column[1], columns=(column[2] or column[3],))
    field = re.match(r"Field '([^']+)'", text)
    constraint = re.search(r"(?:CONSTRAINT|[Cc]onstraint) [`']([^`']+)[`']", text)
    table = re.search(r"`[^`]+`\.`([^`]+)`", text)
    return _Names(
        constraint=constraint[1] if constraint else None,
        table=table[1] if table else None,
        columns=(field[1],) if field else (),
    )


def _about(error: sa.DBAPIError, kind: type[err.SQLModelKitError]) -> _About:
    """Find model, fields and constraint, each database saying something else of them."""
    names, statement = _names(error, sqlstate(error)), error.statement or ""
    target = _TARGET.match(statement)
    written = target[1] if target else None
    name = None if names.constraint == _MYSQL_KEY else names.constraint
    known = catalogue(table=names.table or written, name=name)
    one: Known | None = None
    if name is not None:
        one = known.find(name, (names.table, written))
    elif names.constraint == _MYSQL_KEY:
        one = known.key(names.table or written)
    elif issubclass(kind, err.UniqueViolation):
        one = known.over(names.table, names.columns)
    elif issubclass(kind, err.ForeignKeyViolation):
        return _unnamed_foreign_key(known, written, statement)
    table = one.table if one else known.table(names.table or written, names.columns)
    columns = names.columns or (one.columns if one else ())
    constraint = (one and one.name) or names.constraint
    return _About(known.model(table), known.fields(table, columns), constraint)


def _unnamed_foreign_key(known: Catalogue, written: str | None, statement: str) -> _About:
    """Say for SQLite, which names no foreign key, which one it was, or which it may have been."""
    keys = known.leading(written, _written_columns(statement))
    missing = bool(keys)
    keys = keys or known.holding(written)
    constraint = keys[0].name if len(keys) == 1 else None
    if not missing and len(keys) != 1:
        return _About(None, (), None)
    table = keys[0].table
    written_to = {column for key in keys for column in key.columns}
    columns = [column.name for column in table.c if column.name in written_to]
    return _About(known.model(table), known.fields(table, columns), constraint, missing=missing)


def _written_columns(statement: str) -> set[str]:
    """Return the names of the columns that an INSERT or UPDATE writes."""
    listed = _INSERTED.match(statement) or _UPDATED.match(statement)
    return set(re.findall(r"\w+", listed[1])) if listed else set()


def _foreign_key(error: sa.DBAPIError, about: _About) -> err.ForeignKeyViolation:
    fields, model = about.fields, about.model
    verb = (error.statement or "").lstrip()[:6].upper()
    unnamed = _result_code(error.orig) is not None
    missing = not (
        verb == "DELETE"
        or _errno(error.orig) in _STILL_REFERRED
        or (unnamed and not about.missing and verb == "UPDATE")
        or (verb != "INSERT" and str(error.orig).startswith("update or delete on"))
    )
    if missing:
        message = f"{' or '.join(fields) or 'A field'} refers to a row that does not exist."
    else:
        by = f" by {model}.{_and(fields)}" if model and fields else ""
        message = f"The row is still referred to{by}."
    return err.ForeignKeyViolation(
        message,
        fields=fields if missing else (),
        model=model,
        constraint=about.constraint,
        sqlstate=sqlstate(error),
        missing=missing,
    )


def _misfit(error: sa.DBAPIError) -> str:
    state, errno, code = sqlstate(error), _errno(error.orig), _result_code(error.orig)
    if state == "23502" or errno in (1048, 1364) or code == 1299:
        return "it must not be null"
    if state == "22001" or errno == 1406:
        return "it is too long"
    if state == "22003" or errno in (1264, 1690):
        return "it is out of range"
    if state == "22021":
        return "the text has a character that cannot be stored"
    return "its type or range is wrong"


def _and(names: tuple[str, ...]) -> str:
    return " and ".join(names)
