"""Dangerous: table-rebuild"""

from alembic import op


def upgrade() -> None:
    op.execute("ALTER TABLE hero ADD COLUMN seq BIGINT NOT NULL AUTO_INCREMENT UNIQUE")
