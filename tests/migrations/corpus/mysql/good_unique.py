"""Good: nothing to say"""

from alembic import op


def upgrade() -> None:
    op.create_unique_constraint("uq_hero_name", "hero", ["name"])
