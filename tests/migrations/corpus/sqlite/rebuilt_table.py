"""Dangerous: table-rebuild"""

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    with op.batch_alter_table("hero") as batch_op:
        batch_op.alter_column("age", nullable=False, existing_type=sa.Integer())
