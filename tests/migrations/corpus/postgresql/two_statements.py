"""Dangerous: drop-table"""

from alembic import op


def upgrade() -> None:
    op.execute("UPDATE hero SET age = 1 WHERE id < 10; DROP TABLE team")
