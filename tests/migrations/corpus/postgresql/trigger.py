"""Dangerous: disable-trigger"""

from alembic import op


def upgrade() -> None:
    op.execute("ALTER TABLE hero DISABLE TRIGGER ALL")
