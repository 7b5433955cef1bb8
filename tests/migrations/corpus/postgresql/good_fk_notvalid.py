"""Good: nothing to say"""

from alembic import op


def upgrade() -> None:
    op.create_foreign_key(
        "fk_hero_team", "hero", "team", ["team_id"], ["id"], postgresql_not_valid=True
    )
