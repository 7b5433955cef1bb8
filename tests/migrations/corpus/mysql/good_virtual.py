"""Good: nothing to say"""

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    op.add_column("hero", sa.Column("age2", sa.Integer(), sa.Computed("age * 2", persisted=False)))
