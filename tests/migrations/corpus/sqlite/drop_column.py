"""Dangerous: drop-column"""

from alembic import op


def upgrade() -> None:
    with op.batch_alter_table("hero") as batch_op:
        batch_op.drop_column("note")
