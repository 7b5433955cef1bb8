"""Good: nothing to say"""

from alembic import op

from sqlmodelkit.migrations import ChangeEnum


def upgrade() -> None:
    op.invoke(ChangeEnum("rank", ["hero.rank"], old=["a", "b"], new=["a", "b", "c"]))
