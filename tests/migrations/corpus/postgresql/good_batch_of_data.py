"""Good: nothing to say"""

from alembic import op


def upgrade() -> None:
    op.execute("UPDATE hero SET age = 1 WHERE id BETWEEN 1 AND 1000")
