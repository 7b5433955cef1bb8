"""Dangerous: table-rewrite"""

from alembic import op


def upgrade() -> None:
    op.execute("ALTER TABLE hero ADD COLUMN seq BIGSERIAL")
