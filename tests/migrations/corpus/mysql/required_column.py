"""Dangerous: adding-required-field"""

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    op.add_column("hero", sa.Column("size", sa.Integer(), nullable=False))
