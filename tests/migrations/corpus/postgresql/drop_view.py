"""Dangerous: ban-drop-view"""

from alembic import op


def upgrade() -> None:
    op.execute("DROP VIEW heroes")
