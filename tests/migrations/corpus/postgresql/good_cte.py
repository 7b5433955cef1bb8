"""Good: nothing to say"""

from alembic import op


def upgrade() -> None:
    op.execute(
        "WITH x AS (SELECT id FROM hero LIMIT 100) UPDATE hero SET age = 1 FROM x WHERE hero.id = x.id"
    )
