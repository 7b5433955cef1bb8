"""Dangerous: truncate"""

from alembic import op


def upgrade() -> None:
    op.execute("TRUNCATE hero")
