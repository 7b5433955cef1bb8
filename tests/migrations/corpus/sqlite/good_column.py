"""Good: nothing to say"""

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    with op.batch_alter_table("hero") as batch_op:
        batch_op.add_column(sa.Column("size", sa.Integer(), nullable=True))
