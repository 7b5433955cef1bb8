"""Dangerous: ban-concurrent-index-creation-in-transaction"""

from alembic import op


def upgrade() -> None:
    op.create_index("ix_hero_age", "hero", ["age"], postgresql_concurrently=True)
