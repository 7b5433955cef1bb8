"""Dangerous: drop-column"""

from alembic import op


def upgrade() -> None:
    op.execute("ALTER TABLE hero ADD COLUMN x INT, DROP COLUMN age")
