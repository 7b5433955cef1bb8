"""Good: nothing to say"""

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    op.create_table(
        "log",
        sa.Column("id", sa.BigInteger(), primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
    )
    op.create_index(None, "log", ["at"])
