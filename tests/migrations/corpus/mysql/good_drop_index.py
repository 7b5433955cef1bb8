"""Good: nothing to say"""

from alembic import op


def upgrade() -> None:
    op.drop_index("ix_hero_name", table_name="hero")
