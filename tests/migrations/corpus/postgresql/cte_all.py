"""Dangerous: data-at-once"""

from alembic import op


def upgrade() -> None:
    op.execute("WITH x AS (SELECT id FROM hero) DELETE FROM team")
