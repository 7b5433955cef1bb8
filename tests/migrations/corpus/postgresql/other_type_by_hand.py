"""Dangerous: changing-column-type"""

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    op.alter_column("hero", "age", type_=sa.BigInteger(), existing_type=sa.Integer())
