"""Dangerous: adding-foreign-key-constraint"""

from alembic import op


def upgrade() -> None:
    op.create_foreign_key("fk_hero_team", "hero", "team", ["team_id"], ["id"])
