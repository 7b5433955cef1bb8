"""Dangerous: adding-serial-primary-key-field"""

from alembic import op


def upgrade() -> None:
    op.create_primary_key("pk_x", "hero", ["name"])
