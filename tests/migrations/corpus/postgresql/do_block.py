"""Dangerous: drop-table"""

from alembic import op


def upgrade() -> None:
    op.execute("DO $$ BEGIN DROP TABLE team; END $$")
