"""Good: nothing to say"""

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    op.add_column("hero", sa.Column("x", sa.Integer(), nullable=False, server_default="0"))
