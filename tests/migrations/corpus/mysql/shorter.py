"""Dangerous: changing-column-type"""

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    op.alter_column(
        "hero", "name", existing_type=sa.String(50), type_=sa.String(20), existing_nullable=False
    )
