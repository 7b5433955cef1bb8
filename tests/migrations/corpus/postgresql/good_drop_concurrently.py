"""Good: nothing to say"""

from alembic import op


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index("ix_hero_name", table_name="hero", postgresql_concurrently=True)
