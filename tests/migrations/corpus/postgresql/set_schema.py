"""Dangerous: ban-set-schema"""

from alembic import op


def upgrade() -> None:
    op.execute("ALTER TABLE hero SET SCHEMA archive")
