"""Good: nothing to say"""

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    op.add_column(
        "hero", sa.Column("flag", sa.Boolean(), nullable=False, server_default=sa.false())
    )
