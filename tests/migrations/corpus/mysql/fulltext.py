"""Dangerous: fulltext-index"""

from alembic import op


def upgrade() -> None:
    op.create_index("ft_hero_note", "hero", ["note"], mysql_prefix="FULLTEXT")
