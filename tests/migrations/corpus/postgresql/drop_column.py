"""Dangerous: drop-column"""

from alembic import op


def upgrade() -> None:
    op.drop_column("hero", "note")
