"""Dangerous: drop-table"""

from alembic import op


def upgrade() -> None:
    op.execute("/* tidy */ DROP TABLE team")
