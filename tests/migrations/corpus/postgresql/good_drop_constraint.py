"""Good: nothing to say"""

from alembic import op


def upgrade() -> None:
    op.drop_constraint("ck_age", "hero", type_="check")
