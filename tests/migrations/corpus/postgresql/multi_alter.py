"""Dangerous: adding-not-nullable-field"""

from alembic import op


def upgrade() -> None:
    op.execute("ALTER TABLE hero ADD COLUMN a int, ALTER COLUMN note SET NOT NULL")
