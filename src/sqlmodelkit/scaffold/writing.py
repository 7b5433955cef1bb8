"""The text of a module with a table and its schemas.

Start at `model_text`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .fields import Asked
from .relatives import Relative, snake
from .sources import field_line, imports


@dataclass(frozen=True, slots=True)
class Names:
    """What a resource is called.

    Attributes:
        name: Its class, as `OrderLine`.
        many: Its plural as a module, as `order_lines`.
        package: The application's package.
    """

    name: str
    many: str
    package: str

    def values(self) -> dict[str, str]:
        """Return all its names, for templates."""
        one = snake(self.name)
        return {
            "name": self.name,
            "one": one,
            "many": self.many,
            "path": self.many.replace("_", "-"),
            "spoken": one.replace("_", " "),
            "spoken_many": self.many.replace("_", " "),
            "article": "an" if one[0] in "aeiou" else "a",
        }


def model_text(names: Names, fields: Sequence[Asked], relatives: Mapping[str, Relative]) -> str:
    """Return the module of a table and its five schemas."""
    wanted = {
        ("datetime", "datetime"),
        ("uuid", "UUID"),
        ("sqlmodel", "Field"),
        ("sqlmodel", "SQLModel"),
        ("sqlmodelkit", "Timestamps"),
        ("sqlmodelkit", "UUIDKey"),
    }
    for each in fields:
        if each.kind:
            wanted |= set(each.kind.imports)
            continue
        other = relatives[each.name]
        wanted |= {("sqlmodel", "Relationship"), (other.module, other.name)}
        if other.brief:
            wanted.add((other.module, other.brief))
        if each.many:
            link = f"{names.name}{other.name}"
            wanted.add((f"{names.package}.models.{snake(link)}s", link))
    spoken = names.values()
    classes = [
        _class(f"{names.name}Base(SQLModel)", _stored(fields, relatives)),
        _class(
            f"{names.name}({names.name}Base, UUIDKey, Timestamps, table=True)",
            _relations(names, fields, relatives),
        ),
        _class(f"{names.name}Create({names.name}Base)", []),
        _class(f"{names.name}Update(SQLModel)", _changeable(fields, relatives)),
        _class(
            f"{names.name}Brief(SQLModel)",
            _brief(fields),
            docstring=f"{spoken['article'].capitalize()} {spoken['spoken']} inside another answer.",
        ),
        _class(f"{names.name}Public({names.name}Base)", _shown(fields, relatives)),
    ]
    head = f'"""{spoken["spoken_many"].capitalize()}: what is stored, what clients send, what they see."""'
    return "\n\n\n".join([f"{head}\n\n{imports(wanted, own=names.package)}", *classes]) + "\n"


def link_text(names: Names, other: Relative) -> str:
    """Return the module of the table between two tables."""
    one, another = snake(names.name), snake(other.name)
    spoken = f"{one} has which {another}".replace("_", " ")
    wanted = {("uuid", "UUID"), ("sqlmodel", "Field"), ("sqlmodel", "SQLModel")}
    table = names.name.lower()
    rows = [
        field_line(f"{one}_id", "UUID", _reference(table, "CASCADE", ["primary_key=True"])),
        field_line(
            f"{another}_id",
            other.key,
            _reference(other.table, "CASCADE", ["primary_key=True", "index=True"]),
        ),
    ]
    body = _class(
        f"{names.name}{other.name}(SQLModel, table=True)", rows, docstring=f"Which {spoken}."
    )
    return f'"""Which {spoken}."""\n\n{imports(wanted, own=names.package)}\n\n\n{body}\n'


def _class(head: str, rows: Sequence[str], *, docstring: str | None = None) -> str:
    lines = [f'    """{docstring}"""', ""] if docstring else []
    return "\n".join([f"class {head}:", *lines, *(rows or ["    pass"])])


def _reference(table: str, ondelete: str, more: Sequence[str]) -> list[str]:
    return [f'foreign_key="{table}.id"', f'ondelete="{ondelete}"', *more]


def _stored(fields: Sequence[Asked], relatives: Mapping[str, Relative]) -> list[str]:
    rows = []
    for each in fields:
        default = ["default=None"] if each.optional else []
        if each.kind:
            storage = [word for word in ("unique", "index") if getattr(each, word)]
            limits = [text for text in each.kind.arguments if not text.startswith("sa_")]
            own = [text for text in each.kind.arguments if text.startswith("sa_")]
            arguments = [*default, *limits, *(f"{word}=True" for word in storage), *own]
            rows.append(_column(each.name, each.kind.annotation, arguments, each.optional))
        elif not each.many:
            other = relatives[each.name]
            ondelete = "SET NULL" if each.optional else "RESTRICT"
            arguments = [*default, *_reference(other.table, ondelete, ["index=True"])]
            rows.append(_column(f"{each.name}_id", other.key, arguments, each.optional))
    return rows


def _column(name: str, annotation: str, arguments: list[str], optional: bool) -> str:
    kind = f"{annotation} | None" if optional else annotation
    if arguments == ["default=None"] and optional:
        return f"    {name}: {kind} = None"
    return field_line(name, kind, arguments)


def _relations(
    names: Names, fields: Sequence[Asked], relatives: Mapping[str, Relative]
) -> list[str]:
    rows = []
    for each in fields:
        if each.kind:
            continue
        other = relatives[each.name]
        arguments = [f'back_populates="{names.many}"']
        annotation = f"{other.name} | None" if each.optional else other.name
        if each.many:
            annotation = f"list[{other.name}]"
            arguments += [f"link_model={names.name}{other.name}", 'passive_deletes="all"']
        rows.append(field_line(each.name, annotation, arguments, call="Relationship"))
    return rows


def _changeable(fields: Sequence[Asked], relatives: Mapping[str, Relative]) -> list[str]:
    rows = []
    for each in fields:
        if each.kind:
            limits = [text for text in each.kind.arguments if not text.startswith("sa_")]
            arguments = ["default=None", *limits]
            rows.append(_column(each.name, each.kind.annotation, arguments, each.optional))
        elif not each.many:
            key = relatives[each.name].key
            rows.append(_column(f"{each.name}_id", key, ["default=None"], each.optional))
    return rows


def _brief(fields: Sequence[Asked]) -> list[str]:
    first = next(each for each in fields if each.kind and not each.optional)
    return ["    id: UUID", f"    {first.name}: {first.kind.annotation if first.kind else ''}"]


def _shown(fields: Sequence[Asked], relatives: Mapping[str, Relative]) -> list[str]:
    rows = ["    id: UUID", "    created_at: datetime", "    updated_at: datetime"]
    for each in fields:
        brief = relatives[each.name].brief if each.kind is None else None
        if brief:
            many, optional = each.many, each.optional
            kind = f"list[{brief}]" if many else f"{brief} | None" if optional else brief
            rows.append(f"    {each.name}: {kind}")
    return rows
