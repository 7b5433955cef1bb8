"""How SQLite's tables are copied where they cannot be altered: generated columns are made anew.

Importing this module tells Alembic, by the way in which it learns of dialects: decision 68.
"""

from typing import Any

from alembic.ddl.sqlite import SQLiteImpl
from sqlalchemy import Table, text

from sqlmodelkit.catalogs import to_its_bracket


class Copying(SQLiteImpl):
    """Alembic's SQLite, which does not copy into generated columns: SQLite refuses that."""

    __dialect__ = "sqlite"

    def prep_table_for_batch(self, batch_impl: Any, table: Table) -> None:
        """Leave out generated columns, before the rows of a table are copied."""
        super().prep_table_for_batch(batch_impl, table)
        for name, transfer in batch_impl.column_transfers.items():
            column = batch_impl.new_table.columns.get(transfer.get("name", name))
            if column is not None and column.computed is not None:
                transfer.pop("expr", None)
                column.computed.sqltext = text(to_its_bracket(str(column.computed.sqltext)))
