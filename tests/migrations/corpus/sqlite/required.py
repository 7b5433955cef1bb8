"""Dangerous: non-constant-default"""

from alembic import op


def upgrade() -> None:
    op.execute("ALTER TABLE hero ADD COLUMN x INTEGER NOT NULL DEFAULT (abs(1))")
