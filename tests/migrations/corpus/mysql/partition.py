"""Dangerous: table-rebuild"""

from alembic import op


def upgrade() -> None:
    op.execute("ALTER TABLE hero PARTITION BY HASH(id) PARTITIONS 4")
