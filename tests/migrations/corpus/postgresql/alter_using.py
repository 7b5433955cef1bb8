"""Dangerous: changing-column-type"""

from alembic import op


def upgrade() -> None:
    op.execute("ALTER TABLE hero ALTER COLUMN age TYPE bigint USING age::bigint")
