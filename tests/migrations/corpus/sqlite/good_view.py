"""Good: nothing to say"""

from alembic import op


def upgrade() -> None:
    op.execute("CREATE VIEW v AS SELECT id FROM hero")
