"""Dangerous: adding-field-with-default"""

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    op.add_column(
        "hero",
        sa.Column("code", sa.Uuid(), server_default=sa.text("gen_random_uuid()")),
    )
