"""Good: nothing to say"""

import sqlalchemy as sa
from alembic import op

from sqlmodelkit.migrations import ChangeType


def upgrade() -> None:
    op.invoke(
        ChangeType(
            "hero",
            "name",
            sa.String(length=80),
            existing_type=sa.String(length=50),
            existing_nullable=False,
        )
    )
