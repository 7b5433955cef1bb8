"""Dangerous: renaming-object"""

from alembic import op


def upgrade() -> None:
    op.execute("ALTER TYPE rank RENAME VALUE 'a' TO 'b'")
