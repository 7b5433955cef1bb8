"""Dangerous: require-concurrent-index-creation"""

from alembic import op


def upgrade() -> None:
    op.create_index("ix_hero_age", "hero", ["age"])
