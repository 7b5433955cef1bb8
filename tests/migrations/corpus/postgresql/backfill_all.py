"""Dangerous: data-at-once"""

from alembic import op


def upgrade() -> None:
    op.execute("UPDATE hero SET age = 0 WHERE age IS NULL")
