"""Dangerous: setting-not-null"""

from alembic import op


def upgrade() -> None:
    op.execute("ALTER TABLE hero MODIFY name VARCHAR(50) CHARACTER SET latin1 NOT NULL")
