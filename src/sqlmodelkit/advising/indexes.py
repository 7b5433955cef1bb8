"""Which index would serve a statement, from its text and the tables that it names.

Start at `candidates`. It only thinks; whether the database scans a table, it is asked in `plans`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Index, MetaData, Table, UniqueConstraint

_NAME = r"([\w\x00]+)"
_COLUMN = rf"{_NAME}\.{_NAME}"
_VALUE = r"(?:\$|%|\?|:|')"
_FROM = re.compile(rf"(?:FROM|JOIN|,)\s+(?:\w+\.)?{_NAME}(?:\s+AS\s+{_NAME})?(?=[\s,)]|$)")
_EQUAL = re.compile(rf"{_COLUMN}\s+(?:=\s*{_VALUE}|IN\s*\(|IS\s+NULL)")
_RANGE = re.compile(rf"{_COLUMN}\s+(?:[<>]=?\s*{_VALUE}|BETWEEN\s|LIKE\s+{_VALUE})")
_WHERE = re.compile(
    r"\b(?:WHERE|ON)\b(.*?)(?=\b(?:WHERE|ORDER BY|GROUP BY|LIMIT|FROM|SELECT|JOIN|UNION)\b|$)",
    re.DOTALL,
)
_ORDER = re.compile(r"ORDER BY (.*?)(?:\s+(?:LIMIT|OFFSET|FETCH|FOR)\b|\)|$)", re.DOTALL)
_SORT = re.compile(rf"^{_COLUMN}(?:\s+(ASC|DESC))?(?:\s+NULLS\s+\w+)?$")
_QUOTED = re.compile(r'"([^"]+)"|`([^`]+)`')
_LITERAL = re.compile(r"'(?:[^']|'')*'")


@dataclass(frozen=True, slots=True)
class IndexAdvice:
    """An index that is missing.

    Attributes:
        table: The table.
        columns: What it should be on, in this order.
        reason: What the statement does with the columns.
        proof: What the database says of it; empty where it could not be asked.
    """

    table: str
    columns: tuple[str, ...]
    reason: str
    proof: str = ""

    @property
    def name(self) -> str:
        """The name that the naming convention gives it."""
        return "_".join(["ix", self.table, *self.columns])

    @property
    def declaration(self) -> str:
        """What to write in the model; the next migration makes it."""
        if len(self.columns) == 1:
            return f"index=True at {self.table}.{self.columns[0]}"
        columns = ", ".join(f'"{column}"' for column in self.columns)
        return f'Index("{self.name}", {columns}) in __table_args__ of {self.table}'

    def __str__(self) -> str:
        columns = ", ".join(self.columns)
        proof = f" {self.proof}" if self.proof else ""
        return f"{self.table} ({columns}): {self.reason}.{proof} Declare {self.declaration}."


@dataclass(slots=True)
class _Use:
    """How a statement uses the columns of a table."""

    equal: dict[str, None] = field(default_factory=dict)
    ranges: dict[str, None] = field(default_factory=dict)
    sorted: dict[str, bool] = field(default_factory=dict)

    def columns(self) -> tuple[str, ...]:
        """Return what an index should be on: equality, then the sort or else one range."""
        sort = [name for name in self.sorted if name not in self.equal]
        one_way = len({self.sorted[name] for name in sort}) == 1
        further = sort if one_way and not self.ranges else [*self.ranges][:1]
        return tuple(dict.fromkeys([*self.equal, *further]))

    def reason(self) -> str:
        """Return what the columns are used for."""
        parts = []
        if self.equal or self.ranges:
            parts.append(f"filters by {', '.join([*self.equal, *self.ranges])}")
        if self.sorted:
            parts.append(f"sorts by {', '.join(self.sorted)}")
        return " and ".join(parts)


def candidates(statement: str, metadata: MetaData) -> Iterator[IndexAdvice]:
    """Yield the indexes that a SELECT could use and that are not there, at most one a table."""
    text = _QUOTED.sub(_bare, _LITERAL.sub("''", statement))
    tables = {_inner(table.name): table for table in metadata.tables.values()}
    names = dict(_named(text, tables))
    conditions = " ".join(_WHERE.findall(text))
    uses: dict[str, _Use] = {}
    for pattern, kind in ((_EQUAL, "equal"), (_RANGE, "ranges")):
        for label, column in pattern.findall(conditions):
            table, name = names.get(label), _outer(column)
            if table is not None and name in table.columns:
                use = uses.setdefault(_inner(table.name), _Use())
                if name not in use.equal:
                    getattr(use, kind)[name] = None
    for table_name, column, descending in _sorts(text, names):
        uses.setdefault(table_name, _Use()).sorted[column] = descending
    for table_name, use in uses.items():
        columns = use.columns()
        if columns and not is_served(tables[table_name], columns, use.equal):
            yield IndexAdvice(tables[table_name].name, columns, use.reason())


def is_served(table: Table, columns: tuple[str, ...], equal: Mapping[str, None]) -> bool:
    """Tell whether an index of a table begins with these columns; equal ones in any order."""
    wanted = len(equal) or 1
    for have in indexed(table):
        head = have[: len(columns)]
        if head == columns or (set(head[:wanted]) == set(columns[:wanted]) and equal):
            return True
        # A key finds its row whatever else is asked of it.
        if table.primary_key.columns and set(have) <= set(equal):
            return True
    return False


def indexed(table: Table, *, whole: bool = False) -> Iterator[tuple[str, ...]]:
    """Yield the columns of each index and key of a table, in order.

    Args:
        table: The table.
        whole: Leave out indexes of a part of the rows, and those that cannot look a value up.
    """
    yield tuple(column.name for column in table.primary_key.columns)
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint):
            yield tuple(column.name for column in constraint.columns)
    for index in table.indexes:
        if not whole or _finds_all(index):
            yield _columns_of(index)


def _finds_all(index: Index) -> bool:
    """Tell whether an index finds every row that has a value in its columns."""
    for name in ("postgresql", "sqlite"):
        options = index.dialect_options[name]
        # A key that refers to nothing is looked for by nobody.
        where = str(options.get("where") if options.get("where") is not None else "")
        if where and not re.fullmatch(r"\S+ IS NOT NULL", where, re.IGNORECASE):
            return False
    return index.dialect_options["postgresql"].get("using") in (False, None, "btree", "hash")


def _columns_of(index: Index) -> tuple[str, ...]:
    return tuple(str(getattr(part, "name", "") or "") for part in index.expressions)


def _named(text: str, tables: Mapping[str, Table]) -> Iterator[tuple[str, Table]]:
    for name, alias in _FROM.findall(text):
        if name in tables:
            yield alias or name, tables[name]


def _sorts(text: str, names: Mapping[str, Table]) -> Iterator[tuple[str, str, bool]]:
    for order in _ORDER.findall(text):
        for part in order.split(","):
            found = _SORT.search(part.strip())
            if not found:
                return
            table, name = names.get(found[1]), _outer(found[2])
            if table is None or name not in table.columns:
                return
            if not table.columns[name].primary_key:  # the key only decides between equals
                yield _inner(table.name), name, found[3] == "DESC"


def _bare(found: re.Match[str]) -> str:
    return _inner(found[1] or found[2])


def _inner(name: str) -> str:
    """Return a name without spaces, as one word."""
    return name.replace(" ", "\x00")


def _outer(name: str) -> str:
    return name.replace("\x00", " ")
