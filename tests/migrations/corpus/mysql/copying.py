"""Dangerous: table-rebuild"""

from alembic import op


def upgrade() -> None:
    op.execute("ALTER TABLE hero ADD COLUMN rank INT, ALGORITHM=COPY")
