"""Good: nothing to say"""

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    op.create_table(
        "power",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("hero_id", sa.Integer(), sa.ForeignKey("hero.id"), nullable=False),
    )
    op.create_index("ix_power_hero_id", "power", ["hero_id"])
