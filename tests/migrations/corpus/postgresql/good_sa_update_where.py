"""Good: nothing to say"""

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    hero = sa.table("hero", sa.column("age"), sa.column("id"))
    op.execute(hero.update().where(hero.c.id.between(1, 1000)).values(age=1))
