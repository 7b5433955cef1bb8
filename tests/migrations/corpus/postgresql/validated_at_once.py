"""Dangerous: validated-at-once"""

from alembic import op


def upgrade() -> None:
    op.execute("ALTER TABLE hero ADD CONSTRAINT ck_age CHECK (age > 0) NOT VALID")
    op.execute("ALTER TABLE hero VALIDATE CONSTRAINT ck_age")
