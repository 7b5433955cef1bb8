"""What a database has, as its catalogue tells it: tables, without the partitions of others. Ring 2.

A partition is where rows of a table are kept; jobs make new ones and drop old ones. Start at
`reflect`.
"""

from sqlalchemy import Connection, MetaData, text

_PARTITIONS = text(
    "SELECT relname FROM pg_class WHERE relispartition AND relkind IN ('r', 'p', 'f')"
    " AND relnamespace = CAST(coalesce(:schema, current_schema()) AS regnamespace)"
)


def reflect(connection: Connection, *, schema: str | None = None) -> MetaData:
    """Return the tables of a database.

    Args:
        connection: To the database.
        schema: Whose; left out, that in which names are looked for.
    """
    metadata = MetaData()
    parts = partitions(connection, schema=schema)
    metadata.reflect(connection, schema=schema, only=lambda name, _: name not in parts)
    return metadata


def partitions(connection: Connection, *, schema: str | None = None) -> frozenset[str]:
    """Return the names of the tables that are partitions of another; PostgreSQL only has them."""
    if connection.dialect.name != "postgresql":
        return frozenset()
    return frozenset(connection.scalars(_PARTITIONS, {"schema": schema}))
