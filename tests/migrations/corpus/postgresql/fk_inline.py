"""Dangerous: adding-foreign-key-constraint"""

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    op.add_column("hero", sa.Column("boss_id", sa.Integer(), sa.ForeignKey("hero.id")))
