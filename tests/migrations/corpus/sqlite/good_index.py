"""Good: nothing to say"""

from alembic import op


def upgrade() -> None:
    op.create_index("ix_hero_age", "hero", ["age"])
