"""Good: nothing to say"""

from alembic import op


def upgrade() -> None:
    op.execute("ALTER TABLE hero ADD COLUMN rank INT, ALGORITHM=INPLACE, LOCK=NONE")
