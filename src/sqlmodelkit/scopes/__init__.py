"""Which rows a unit of work may see and write: tenant, owner, and what else tables declare. Ring 2.

A table declares rules (`models.Scoped`), a unit of work has their values (`Scope`), and every
statement is kept to both: those of a session by `limit`, those that are made of tables by
`Scope.where`, `Scope.stamp` and `Scope.check_update`.
"""

from .rows import added_relatives, changes, keep_new, known, referring
from .rules import Reference, references_of, rules_of, scoped_models
from .scope import UNSET, Scope
from .statements import IN_SCOPE, limit, unkept

__all__ = [
    "IN_SCOPE",
    "UNSET",
    "Reference",
    "Scope",
    "added_relatives",
    "changes",
    "keep_new",
    "known",
    "limit",
    "references_of",
    "referring",
    "rules_of",
    "scoped_models",
    "unkept",
]
