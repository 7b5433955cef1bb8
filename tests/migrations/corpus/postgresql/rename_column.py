"""Dangerous: rename"""

from alembic import op

from sqlmodelkit.migrations import RenameColumn


def upgrade() -> None:
    op.invoke(RenameColumn("hero", "name", "title"))
