"""Dangerous: check-not-valid"""

from alembic import op


def upgrade() -> None:
    op.create_check_constraint("ck_hero_age", "hero", "age > 0")
