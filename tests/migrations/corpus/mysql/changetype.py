"""Dangerous: changing-column-type"""

import sqlalchemy as sa
from alembic import op

from sqlmodelkit.migrations import ChangeType


def upgrade() -> None:
    op.invoke(
        ChangeType(
            "hero", "age", sa.BigInteger(), existing_type=sa.Integer(), existing_nullable=True
        )
    )
