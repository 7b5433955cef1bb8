"""Dangerous: table-rebuild"""

from alembic import op


def upgrade() -> None:
    op.execute("OPTIMIZE TABLE hero")
