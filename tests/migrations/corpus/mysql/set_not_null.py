"""Dangerous: setting-not-null"""

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    op.alter_column("hero", "age", nullable=False, existing_type=sa.Integer())
