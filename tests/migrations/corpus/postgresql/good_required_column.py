"""Good: nothing to say"""

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    op.add_column(
        "hero", sa.Column("size", sa.Integer(), nullable=False, server_default=sa.text("1"))
    )
    op.alter_column("hero", "size", server_default=None)
