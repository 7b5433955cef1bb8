"""Dangerous: drop-table"""

from alembic import op


def upgrade() -> None:
    op.drop_table("hero", schema="public")
