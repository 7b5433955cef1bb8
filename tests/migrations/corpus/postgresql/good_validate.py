"""Good: nothing to say"""

from alembic import op


def upgrade() -> None:
    op.execute("ALTER TABLE hero VALIDATE CONSTRAINT fk_hero_team")
