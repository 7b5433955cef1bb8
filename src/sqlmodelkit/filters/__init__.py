"""Which rows: one grammar of conditions, compiled to WHERE. Ring 2.

`age__gte=20` is a field, two underscores and an operator; without an operator it means equality;
`team__name__ilike="a%"` goes along a relation, `facts__path__size__gt=3` into JSON. Start at
`where` and `check_filters`; `conditions` is what users write, `paths` and `values` check it.
"""

from .checking import MAX_CONDITIONS, Checked, check_filters, check_key, compile_filters
from .conditions import (
    MAX_NESTING,
    MAX_TEXT,
    MAX_WORDS,
    MIN_SEARCH,
    Filter,
    Where,
    all_of,
    any_of,
    count_conditions,
    not_,
    search,
    where,
)
from .operators import ALIASES, OPERATORS, Operator, canonical_operator, operators_of
from .paths import MAX_DEPTH, MAX_STEPS, Compared, find
from .values import MAX_ITEMS, MAX_WILDCARDS

__all__ = [
    "ALIASES",
    "MAX_CONDITIONS",
    "MAX_DEPTH",
    "MAX_ITEMS",
    "MAX_NESTING",
    "MAX_STEPS",
    "MAX_TEXT",
    "MAX_WILDCARDS",
    "MAX_WORDS",
    "MIN_SEARCH",
    "OPERATORS",
    "Checked",
    "Compared",
    "Filter",
    "Operator",
    "Where",
    "all_of",
    "any_of",
    "canonical_operator",
    "check_filters",
    "check_key",
    "compile_filters",
    "count_conditions",
    "find",
    "not_",
    "operators_of",
    "search",
    "where",
]
