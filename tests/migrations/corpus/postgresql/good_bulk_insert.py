"""Good: nothing to say"""

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    team = sa.table("team", sa.column("id"))
    op.bulk_insert(team, [{"id": 1}])
