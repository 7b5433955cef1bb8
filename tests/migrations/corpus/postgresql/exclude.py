"""Dangerous: exclusion-constraint"""

from alembic import op


def upgrade() -> None:
    op.execute("ALTER TABLE hero ADD CONSTRAINT no_overlap EXCLUDE USING gist (name WITH =)")
