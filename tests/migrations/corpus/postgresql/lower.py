"""Dangerous: drop-column"""

from alembic import op


def upgrade() -> None:
    op.execute("alter table hero drop column age")
