"""Dangerous: data-at-once"""

from alembic import op


def upgrade() -> None:
    op.execute("UPDATE hero JOIN team ON team.id = hero.team_id SET hero.age = 1")
