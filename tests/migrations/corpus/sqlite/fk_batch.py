"""Dangerous: table-rebuild"""

from alembic import op


def upgrade() -> None:
    with op.batch_alter_table("hero") as batch:
        batch.create_foreign_key("fk", "team", ["team_id"], ["id"])
