"""Good: nothing to say"""

from alembic import op


def upgrade() -> None:
    op.execute("ALTER TABLE hero RENAME INDEX ix_hero_name TO ix_name")
