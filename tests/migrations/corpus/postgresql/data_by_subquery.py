"""Dangerous: data-at-once"""

from alembic import op


def upgrade() -> None:
    op.execute("UPDATE hero SET rank = (SELECT max(r) FROM team WHERE team.id = hero.team_id)")
