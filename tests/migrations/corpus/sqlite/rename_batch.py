"""Dangerous: table-rebuild"""

from alembic import op


def upgrade() -> None:
    with op.batch_alter_table("hero") as batch:
        batch.alter_column("name", new_column_name="title")
