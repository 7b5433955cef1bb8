"""Foreign keys as relations, both sides of each.

Start at `relations_of`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ForeignKeyConstraint, Table, UniqueConstraint

from .names import free, plural, snake


@dataclass(frozen=True, slots=True)
class Relation:
    """One side of a relation, as it is written.

    Attributes:
        name: The attribute.
        target: The class at the other end.
        back: The attribute of the other side.
        many: Whether it is a list.
        optional: Whether it may be None.
        link: The class of the table between, for many-to-many.
        options: What stands in `sa_relationship_kwargs`.
    """

    name: str
    target: str
    back: str
    many: bool = False
    optional: bool = False
    link: str | None = None
    options: tuple[tuple[str, str], ...] = ()


class Naming:
    """The names of classes and attributes, by table and column."""

    def __init__(
        self, classes: Mapping[str, str], attributes: Mapping[tuple[str, str], str]
    ) -> None:
        """Keep the names of what is in the database; relations get theirs meanwhile."""
        self.classes = classes
        self.attributes = attributes
        self._taken = {table: {*self._names_of(table)} for table in classes}

    def class_of(self, table: Table) -> str:
        """Return the class of a table."""
        return self.classes[table.fullname]

    def attribute_of(self, table: Table, column: str) -> str:
        """Return the attribute of a column."""
        return self.attributes[table.fullname, column]

    def take(self, table: Table, name: str) -> str:
        """Return a name for a relation that is free in a table's class, and take it."""
        taken = self._taken[table.fullname]
        name = free(name, taken)
        taken.add(name)
        return name

    def _names_of(self, table: str) -> Iterable[str]:
        return (name for (owner, _), name in self.attributes.items() if owner == table)


def is_link(table: Table) -> bool:
    """Tell whether a table only joins two others: two foreign keys, which are its primary key."""
    keys = table.foreign_key_constraints
    joined = {column.name for key in keys for column in key.columns}
    primary = {column.name for column in table.primary_key.columns}
    return len(keys) == 2 and joined == primary == set(table.columns.keys())


def relations_of(tables: Sequence[Table], naming: Naming) -> dict[str, list[Relation]]:
    """Return the relations of each table, by its full name."""
    found: dict[str, list[Relation]] = {table.fullname: [] for table in tables}
    between = Counter(
        frozenset((key.table.fullname, key.referred_table.fullname))
        for table in tables
        if not is_link(table)
        for key in table.foreign_key_constraints
    )
    mapped = [table for table in tables if table.fullname in naming.classes]
    for table in mapped:
        keys = sorted(table.foreign_key_constraints, key=lambda key: tuple(key.column_keys))
        keys = [key for key in keys if key.referred_table.fullname in naming.classes]
        if is_link(table) and len(keys) == 2:
            _join(table, keys[0], keys[1], naming, found)
            continue
        for key in keys:
            ends = frozenset((table.fullname, key.referred_table.fullname))
            _refer(key, naming, found, several=between[ends] > 1)
    return found


def _refer(
    key: ForeignKeyConstraint,
    naming: Naming,
    found: dict[str, list[Relation]],
    *,
    several: bool,
) -> None:
    child, parent = key.table, key.referred_table
    child_class, parent_class = naming.class_of(child), naming.class_of(parent)
    stem = _stem(key, naming)
    single = _is_unique(key)
    named = stem or snake(parent_class)
    if not stem and (several or child is parent):
        named = f"{_columns(key, naming)}_{snake(parent_class)}"
    many = snake(child_class) if single else plural(child_class)
    if several or child is parent:
        many = f"{many}_by_{stem or _columns(key, naming)}"
    one = naming.take(child, named)
    back = naming.take(parent, many)
    shared = []
    if several:
        own = [f"{child_class}.{naming.attribute_of(child, c.name)}" for c in key.columns]
        shared = [("foreign_keys", own[0] if len(own) == 1 else f"[{', '.join(own)}]")]
    remote = []
    if child is parent:
        ends = [naming.attribute_of(parent, element.column.name) for element in key.elements]
        names = ", ".join(f"{parent_class}.{end}" for end in ends)
        remote = [("remote_side", names if len(ends) == 1 else f"[{names}]")]
    optional = any(column.nullable for column in key.columns)
    found[child.fullname].append(
        Relation(one, parent_class, back, optional=optional, options=(*shared, *remote))
    )
    uselist = [("uselist", "")] if single else []
    found[parent.fullname].append(
        Relation(
            back,
            child_class,
            one,
            many=not single,
            optional=single,
            options=(*shared, *uselist),
        )
    )


def _join(
    link: Table,
    first: ForeignKeyConstraint,
    second: ForeignKeyConstraint,
    naming: Naming,
    found: dict[str, list[Relation]],
) -> None:
    left, right = first.referred_table, second.referred_table
    to_right, to_left = plural(naming.class_of(right)), plural(naming.class_of(left))
    if left is right:
        to_right = plural(_stem(second, naming) or _columns(second, naming))
        to_left = plural(_stem(first, naming) or _columns(first, naming))
    ahead, back = naming.take(left, to_right), naming.take(right, to_left)
    through = naming.class_of(link)
    for source, target, name, other, near, far in (
        (left, right, ahead, back, first, second),
        (right, left, back, ahead, second, first),
    ):
        options: tuple[tuple[str, str], ...] = ()
        if left is right:
            options = (
                ("primaryjoin", _joined(source, near, naming)),
                ("secondaryjoin", _joined(target, far, naming)),
            )
        relation = Relation(
            name, naming.class_of(target), other, many=True, link=through, options=options
        )
        found[source.fullname].append(relation)


def _joined(table: Table, key: ForeignKeyConstraint, naming: Naming) -> str:
    link = naming.class_of(key.table)
    pairs = [
        f"{naming.class_of(table)}.{naming.attribute_of(table, element.column.name)} == "
        f"{link}.{naming.attribute_of(key.table, column.name)}"
        for column, element in zip(key.columns, key.elements, strict=True)
    ]
    return pairs[0] if len(pairs) == 1 else f"and_({', '.join(pairs)})"


def _stem(key: ForeignKeyConstraint, naming: Naming) -> str:
    """Return `support_rep` for `support_rep_id`; nothing where the column has another end."""
    name = _columns(key, naming)
    ends = ("_id", "_uuid", "_key", "_code", "_no")
    found = next((name.removesuffix(end) for end in ends if name.endswith(end)), "")
    return found if len(key.columns) == 1 else ""


def _columns(key: ForeignKeyConstraint, naming: Naming) -> str:
    return "_".join(naming.attribute_of(key.table, column.name) for column in key.columns)


def _is_unique(key: ForeignKeyConstraint) -> bool:
    names = {column.name for column in key.columns}
    table = key.table
    keys = [table.primary_key, *(c for c in table.constraints if isinstance(c, UniqueConstraint))]
    sets = [{column.name for column in constraint.columns} for constraint in keys]
    sets += [
        {column.name for column in index.columns}
        for index in table.indexes
        if index.unique and not any(name.endswith("_where") for name in index.dialect_kwargs)
    ]
    return names in sets
