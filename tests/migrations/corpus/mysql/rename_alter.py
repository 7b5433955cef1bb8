"""Dangerous: rename"""

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    op.alter_column(
        "hero",
        "name",
        new_column_name="title",
        existing_type=sa.String(50),
        existing_nullable=False,
    )
