"""Good: nothing to say"""

from alembic import op


def upgrade() -> None:
    op.create_table_comment("hero", "brave people")
