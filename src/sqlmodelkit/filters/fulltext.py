"""Full-text search, as each database has it; a user's text is words there, never an expression."""

import re
from typing import Any

from sqlalchemy import Column, ColumnElement, Table, func, literal_column
from sqlalchemy.dialects import mysql

from sqlmodelkit.errors import ConfigError, FilterError

LANGUAGE = "match_language"
"""What names the language of a column in `Column.info`, for PostgreSQL."""
_DEFAULT = "simple"
_NAMES = {"sqlite": "SQLite"}
_LANGUAGE = re.compile(r"[a-z_][a-z0-9_]{0,62}")


def check_engine(label: str, column: Column[Any], dialect: str) -> None:
    """Refuse `match` where the database has no full-text search for the column.

    Raises:
        FilterError: The engine has none, or the model declares no FULLTEXT index.
        ConfigError: The declared language is no name.
    """
    if dialect == "postgresql":
        _language(column)
    elif dialect in ("mysql", "mariadb"):
        if not _has_index(column):
            raise FilterError(
                f"{label}: {column.name} has no FULLTEXT index of its own.",
                hint=f'Declare Index("...", "{column.name}", mysql_prefix="FULLTEXT", '
                f'mariadb_prefix="FULLTEXT"), or use icontains.',
                fields=[label],
            )
    else:
        raise FilterError(
            f"{label}: {_NAMES.get(dialect, dialect)} has no full-text search on ordinary tables.",
            hint="Use icontains.",
            fields=[label],
        )


def matching(attribute: Any, column: Column[Any], text: Any, dialect: str) -> ColumnElement[bool]:
    """Return the condition that a column is found by a text."""
    if dialect == "postgresql":
        # Written into the SQL, so that an index on this expression is used.
        language: ColumnElement[Any] = literal_column(f"'{_language(column)}'")
        return func.to_tsvector(language, attribute).bool_op("@@")(
            func.websearch_to_tsquery(language, text)
        )
    return mysql.match(attribute, against=text).in_natural_language_mode()


def words(text: str, dialect: str) -> str:
    """Return a text as the database takes it without a syntax error, whatever is in it.

    PostgreSQL's `websearch_to_tsquery` takes everything; MariaDB's parser knows operators even in
    natural language, and a wrong one is an error.
    """
    return text if dialect == "postgresql" else re.sub(r"[^\w]+", " ", text)


def _language(column: Column[Any]) -> str:
    language = column.info.get(LANGUAGE, _DEFAULT)
    if not isinstance(language, str) or not _LANGUAGE.fullmatch(language):
        raise ConfigError(
            f"{language!r} is no language for {column}.",
            hint=f'Give one of pg_ts_config, as in info={{"{LANGUAGE}": "english"}}.',
        )
    return language


def _has_index(column: Column[Any]) -> bool:
    table: Any = column.table
    return isinstance(table, Table) and any(
        [part.name for part in index.columns] == [column.name]
        and "FULLTEXT"
        in {
            str(index.dialect_kwargs.get(f"{name}_prefix", "")).upper()
            for name in ("mysql", "mariadb")
        }
        for index in table.indexes
    )
