"""Good: nothing to say"""

from alembic import op


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.create_index("ix_hero_age", "hero", ["age"], postgresql_concurrently=True)
