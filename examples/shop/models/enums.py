"""How the shop stores an enum: by its value, in a text column with a check constraint.

A native enum of the database would need a migration that locks the table for each new value.
"""

from enum import StrEnum

from sqlalchemy import Enum


def stored_by_value(enum: type[StrEnum], *, name: str) -> Enum:
    """Return the column type for an enum; `name` names its check constraint."""
    return Enum(
        enum,
        name=name,
        native_enum=False,
        create_constraint=True,
        length=20,
        values_callable=lambda members: [member.value for member in members],
    )
