"""Good: nothing to say"""

from alembic import op


def upgrade() -> None:
    op.execute("ALTER TYPE rank ADD VALUE IF NOT EXISTS 'captain'")
