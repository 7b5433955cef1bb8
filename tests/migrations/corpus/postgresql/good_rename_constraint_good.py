"""Good: nothing to say"""

from alembic import op


def upgrade() -> None:
    op.execute("ALTER TABLE hero RENAME CONSTRAINT pk_hero TO pk_heroes")
