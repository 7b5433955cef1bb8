"""Generated tables: drawn as plain data, written as source, and made as classes of their own.

Start at `schemas` and `Schema.source`.
"""

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from tests.plan.values import KINDS, UNORDERED

Draw = st.DrawFn

_COLUMN_NAMES = ("Name With Blank", "select", "Ünï", 'quo"te', "per%cent", "x" * 60, "a(b):c")


@dataclass(frozen=True)
class Column:
    """A column: attribute, kind, and its name in the database when that is another."""

    name: str
    kind: str
    nullable: bool = False
    stored: str | None = None
    options: str = ""

    @property
    def annotation(self) -> str:
        """Return the type as source, without None."""
        return KINDS[self.kind].annotation

    @property
    def source(self) -> str:
        """Return the attribute's line in the class."""
        parts = [self.options, KINDS[self.kind].options]
        parts += [f"sa_column_kwargs={{'name': {self.stored!r}}}"] if self.stored else []
        none = " | None" if self.nullable else ""
        arguments = ", ".join(part for part in parts if part)
        return f"{self.name}: {self.annotation}{none} = sqlmodel.Field({arguments})"


@dataclass(frozen=True)
class Relation:
    """A relation as its table shows it; `ordered` when it declares its order."""

    name: str
    target: str
    many: bool
    ordered: bool
    arguments: tuple[str, ...]
    link: str | None = None

    @property
    def source(self) -> str:
        """Return the attribute's line in the class."""
        kind = f'list["{self.target}"]' if self.many else f'Optional["{self.target}"]'
        inner = f"sa_relationship_kwargs={{{', '.join(self.arguments)}}}"
        link = f"link_model={self.link}, " if self.link else ""
        return f"{self.name}: {kind} = sqlmodel.Relationship({link}{inner})"


@dataclass(frozen=True)
class Reference:
    """A foreign key: the columns here, and the table whose key they hold, in the key's order."""

    columns: tuple[Column, ...]
    target: str
    single: bool = False


@dataclass(frozen=True)
class Table:
    """A table: `key` and `references` are columns too; `link` when its key is two references."""

    name: str
    key: tuple[Column, ...]
    columns: tuple[Column, ...]
    references: tuple[Reference, ...]
    relations: tuple[Relation, ...]
    soft: bool
    titled: bool
    link: bool = False

    @property
    def every(self) -> tuple[Column, ...]:
        """Return all columns but `deleted_at`."""
        referring = [column for each in self.references for column in each.columns]
        return (*dict.fromkeys((*self.key, *self.columns, *referring)),)

    def source(self, prefix: str, tables: dict[str, "Table"]) -> str:
        """Return the class as source."""
        mixin = ", SoftDelete" if self.soft else ""
        lines = [f"class {self.name}(Base{mixin}, table=True):"]
        lines += [f"    __tablename__ = '{prefix}{self.name.lower()}'"]
        constraints = [self._constraint(prefix, each, tables) for each in self.references]
        lines += [f"    __table_args__ = ({', '.join(constraints)},)"] if constraints else []
        lines += [f"    {column.source}" for column in self.every]
        lines += [f"    {relation.source}" for relation in self.relations]
        if self.titled:
            shown = self.columns[0].name if self.columns else self.key[0].name
            lines += ["    @property", "    def title(self) -> str:"]
            lines += [f"        return f'<{{self.{shown}!r}}>'"]
        return "\n".join(lines)

    def _constraint(self, prefix: str, reference: Reference, tables: dict[str, "Table"]) -> str:
        ours = [column.stored or column.name for column in reference.columns]
        target = tables[reference.target]
        theirs = [f"{prefix}{target.name.lower()}.{key.stored or key.name}" for key in target.key]
        # Rows that refer to each other are deleted together.
        cascade = ", ondelete='CASCADE'" if target is self else ""
        return f"ForeignKeyConstraint({ours!r}, {theirs!r}{cascade})"


@dataclass(frozen=True)
class Schema:
    """Tables, those that are referred to first."""

    tables: tuple[Table, ...]

    @property
    def by_name(self) -> dict[str, Table]:
        """Return the tables by name."""
        return {table.name: table for table in self.tables}

    def source(self, prefix: str) -> str:
        """Return all classes as source, over a base with a registry of its own."""
        base = (
            "class Base(sqlmodel.SQLModel, registry=registry(metadata=MetaData("
            "naming_convention=NAMING_CONVENTION))): ..."
        )
        # What links is named by the relations across it, so that it has to be there first.
        inorder = sorted(self.tables, key=lambda table: not table.link)
        return "\n\n".join([base, *(table.source(prefix, self.by_name) for table in inorder)])


class _Building:
    """A table while relations from elsewhere are still added to it."""

    def __init__(self, name: str, key: tuple[Column, ...], columns: tuple[Column, ...]) -> None:
        self.name, self.key, self.columns = name, key, columns
        self.references: list[Reference] = []
        self.relations: list[Relation] = []
        self.soft = self.titled = self.link = False

    def reference(self, name: str, target: "_Building", options: str, *, nullable: bool) -> Any:
        ends = ("",) if len(target.key) == 1 else ("_a", "_b")
        default = "default=None" if nullable else ""
        columns = tuple(
            Column(f"{name}{end}_id", key.kind, nullable, None, options or default)
            for end, key in zip(ends, target.key, strict=True)
        )
        return Reference(columns, target.name)

    def done(self) -> Table:
        return Table(
            self.name, self.key, self.columns, tuple(self.references), tuple(self.relations),
            self.soft, self.titled, self.link,
        )  # fmt: skip


def _names(table: str, columns: tuple[Column, ...]) -> str:
    return f"[{', '.join(f'{table}.{column.name}' for column in columns)}]"


def _key(draw: Draw) -> tuple[Column, ...]:
    form = draw(st.sampled_from(("whole", "token", "pair", "whole")))
    stored = draw(st.sampled_from((None, None, "Key")))
    if form == "pair":
        second = draw(st.sampled_from(("whole", "token", "short")))
        return (
            Column("first", "whole", stored=stored, options="primary_key=True"),
            Column("second", second, options="primary_key=True"),
        )
    return (Column("id", form, stored=stored, options="primary_key=True"),)


def _columns(draw: Draw, least: int, most: int) -> tuple[Column, ...]:
    kinds = draw(st.lists(st.sampled_from(tuple(KINDS)), min_size=least, max_size=most))
    stored = draw(st.none() | st.sampled_from(_COLUMN_NAMES))
    return tuple(
        Column(
            f"{kind}_{number}",
            kind,
            nullable := draw(st.booleans()),
            stored if number == 0 else None,
            "default=None" if nullable else "",
        )
        for number, kind in enumerate(kinds)
    )


def _order(draw: Draw, table: _Building) -> str | None:
    """Return an order by the key, or by a column and then the key: never one with ties."""
    form = draw(st.sampled_from(("none", "none", "key", "column")))
    if form == "none":
        return None
    names = [f"{table.name}.{key.name}.desc()" for key in table.key]
    sortable = [column for column in table.columns if column.kind not in UNORDERED]
    if form == "column" and sortable:
        names.insert(0, f"{table.name}.{draw(st.sampled_from(sortable)).name}")
    return f"'order_by': '[{', '.join(names)}]'"


def _refer(draw: Draw, number: int, child: _Building, parent: _Building) -> None:
    """Add a foreign key, and the relation from both of its ends."""
    up, down = f"up_{number}", f"down_{number}"
    reference = child.reference(up, parent, "", nullable=draw(st.booleans()) or child is parent)
    single = child is not parent and draw(st.sampled_from((False, False, False, True)))
    child.references.append(Reference(reference.columns, parent.name, single))
    foreign = f"'foreign_keys': '{_names(child.name, reference.columns)}'"
    remote = f"'remote_side': '{_names(parent.name, parent.key)}'"
    ours = (foreign, *((remote,) if child is parent else ()), f"'back_populates': '{down}'")
    child.relations.append(Relation(up, parent.name, False, False, ours))
    order = None if single else _order(draw, child)
    theirs = [foreign, f"'back_populates': '{up}'", *([order] if order else [])]
    theirs += ["'uselist': False"] if single else []
    parent.relations.append(
        Relation(down, child.name, not single, order is not None, tuple(theirs))
    )
    if not single and child is not parent and child.columns and draw(st.integers(0, 3)) == 3:
        pairs = zip(reference.columns, parent.key, strict=True)
        on = [f"{child.name}.{ours.name} == {parent.name}.{key.name}" for ours, key in pairs]
        on.append(f"{child.name}.{child.columns[0].name}.is_not(None)")
        join = (f"'primaryjoin': 'and_({', '.join(on)})'", "'viewonly': True")
        parent.relations.append(Relation(f"some_{number}", child.name, True, False, join))


def _link(draw: Draw, left: _Building, right: _Building) -> _Building:
    """Join two tables many to many, by a table with columns of its own or without."""
    link = _Building("Link", (), _columns(draw, 0, 2))
    link.link, link.soft = True, draw(st.integers(0, 3)) == 3
    for name, end, other in (("left", left, right), ("right", right, left)):
        reference = link.reference(name, end, "primary_key=True", nullable=False)
        link.references.append(reference)
        link.key += reference.columns
        foreign = f"'foreign_keys': '{_names('Link', reference.columns)}'"
        arguments = (foreign, f"'back_populates': 'links_{name}'")
        link.relations.append(Relation(name, end.name, False, False, arguments))
        arguments = (foreign, f"'back_populates': '{name}'")
        end.relations.append(Relation(f"links_{name}", "Link", True, False, arguments))
        order = _order(draw, other)
        arguments = ("'viewonly': True", *((order,) if order else ()))
        end.relations.append(
            Relation(f"far_{name}", other.name, True, order is not None, arguments, "Link")
        )
    return link


@st.composite
def schemas(draw: Draw) -> Schema:
    """Draw one to three tables with relations among them, and perhaps a table that links two."""
    count = draw(st.sampled_from((1, 2, 3, 2, 3)))
    tables = [_Building(f"T{number}", _key(draw), _columns(draw, 3, 7)) for number in range(count)]
    for table in tables:
        table.soft = draw(st.sampled_from((False, True)))
        table.titled = draw(st.booleans())
    for number in range(draw(st.sampled_from((1, 2, 3, 4)))):
        child = draw(st.sampled_from(range(count)[::-1]))
        parent = draw(st.sampled_from(range(child + 1)))
        _refer(draw, number, tables[child], tables[parent])
    if count > 1 and draw(st.booleans()):
        tables.append(_link(draw, tables[0], tables[1]))
    return Schema(tuple(table.done() for table in tables))
