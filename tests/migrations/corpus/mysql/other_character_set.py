"""Dangerous: table-rebuild"""

from alembic import op


def upgrade() -> None:
    op.execute("ALTER TABLE hero CONVERT TO CHARACTER SET utf8mb4")
