"""Dangerous: primary-key"""

from alembic import op


def upgrade() -> None:
    op.execute("ALTER TABLE hero DROP PRIMARY KEY, ADD PRIMARY KEY (name)")
