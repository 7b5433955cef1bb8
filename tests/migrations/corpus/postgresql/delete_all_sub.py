"""Dangerous: data-at-once"""

from alembic import op


def upgrade() -> None:
    op.execute("DELETE FROM ONLY hero")
