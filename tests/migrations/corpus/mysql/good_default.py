"""Good: nothing to say"""

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    op.alter_column("hero", "age", server_default=sa.text("18"))
