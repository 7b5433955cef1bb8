"""Dangerous: rename"""

from alembic import op


def upgrade() -> None:
    op.rename_table("hero", "person")
