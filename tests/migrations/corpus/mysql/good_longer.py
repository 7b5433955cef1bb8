"""Good: nothing to say"""

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    op.alter_column(
        "hero", "name", existing_type=sa.String(50), type_=sa.String(60), existing_nullable=False
    )
