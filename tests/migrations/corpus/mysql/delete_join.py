"""Dangerous: data-at-once"""

from alembic import op


def upgrade() -> None:
    op.execute("DELETE hero FROM hero JOIN team ON team.id = hero.team_id")
