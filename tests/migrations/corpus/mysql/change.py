"""Dangerous: rename"""

from alembic import op


def upgrade() -> None:
    op.execute("ALTER TABLE hero CHANGE name title VARCHAR(50) NOT NULL")
