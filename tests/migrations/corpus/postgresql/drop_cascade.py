"""Dangerous: drop-table"""

from alembic import op


def upgrade() -> None:
    op.execute("DROP TABLE IF EXISTS public.team CASCADE")
