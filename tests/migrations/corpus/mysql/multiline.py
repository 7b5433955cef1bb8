"""Dangerous: drop-column"""

from alembic import op


def upgrade() -> None:
    op.execute("""
        ALTER TABLE hero
            DROP COLUMN age
    """)
