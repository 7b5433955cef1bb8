"""Good: nothing to say"""

from alembic import op


def upgrade() -> None:
    op.execute("DELETE FROM hero WHERE id = 1")
