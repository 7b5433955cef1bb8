"""Good: nothing to say"""

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    op.alter_column("hero", "age", existing_type=sa.Integer(), server_default="0")
