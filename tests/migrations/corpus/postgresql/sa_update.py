"""Dangerous: data-at-once"""

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    hero = sa.table("hero", sa.column("age"))
    op.execute(hero.update().values(age=1))
