"""Dangerous: changing-column-type"""

from alembic import op

from sqlmodelkit.migrations import ChangeEnum


def upgrade() -> None:
    op.invoke(ChangeEnum("rank", ["hero.rank"], old=["a", "b"], new=["a", "x", "b"]))
