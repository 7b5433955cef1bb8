"""The text of a module with a table and its schemas.

Start at `model_text`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlmodelkit.schemas import (
    SchemaField,
    brief_lines,
    class_text,
    create_lines,
    field_line,
    public_lines,
    related_line,
    update_lines,
)

from .fields import Asked, hides_days
from .relatives import Relative, snake
from .sources import imports


def _mixed(moment: str) -> list[SchemaField]:
    """Return what the mixins of every table give it."""
    return [
        SchemaField(name="id", annotation="UUID", key=True, written=False),
        SchemaField(name="created_at", annotation=moment, written=False),
        SchemaField(name="updated_at", annotation=moment, written=False),
    ]


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

    def in_another(self) -> str:
        """Return what the brief form of a row is."""
        spoken = self.values()
        return f"{spoken['article'].capitalize()} {spoken['spoken']} inside another answer."


def model_text(names: Names, fields: Sequence[Asked], relatives: Mapping[str, Relative]) -> str:
    """Return the module of a table and its five schemas."""
    hidden = hides_days(each.name for each in fields)
    mixed = _mixed("dt.datetime" if hidden else "datetime")
    wanted = {
        ("datetime", " as dt" if hidden else "datetime"),
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
    columns = [mixed[0], *_columns(fields, relatives)]
    secret = [each for each in fields if each.is_secret]
    open_ = [each for each in fields if not each.is_secret]
    classes = [
        class_text(f"{names.name}Base(SQLModel)", _stored(open_, relatives)),
        class_text(
            f"{names.name}({names.name}Base, UUIDKey, Timestamps, table=True)",
            [*_stored(secret, relatives), *_relations(names, fields, relatives)],
        ),
        class_text(
            f"{names.name}Create({names.name}Base)", create_lines(_columns(secret, relatives))
        ),
        class_text(f"{names.name}Update(SQLModel)", update_lines(columns)),
        class_text(
            f"{names.name}Brief(SQLModel)", brief_lines(columns), docstring=names.in_another()
        ),
        class_text(
            f"{names.name}Public({names.name}Base)",
            [*public_lines(mixed), *_shown(fields, relatives)],
        ),
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
        field_line(f"{one}_id", "UUID", {**_reference(table, "CASCADE"), "primary_key": "True"}),
        field_line(
            f"{another}_id",
            other.key,
            {**_reference(other.table, "CASCADE"), "primary_key": "True", "index": "True"},
        ),
    ]
    body = class_text(
        f"{names.name}{other.name}(SQLModel, table=True)", rows, docstring=f"Which {spoken}."
    )
    return f'"""Which {spoken}."""\n\n{imports(wanted, own=names.package)}\n\n\n{body}\n'


def _reference(table: str, ondelete: str) -> dict[str, str]:
    return {"foreign_key": f'"{table}.id"', "ondelete": f'"{ondelete}"'}


def _columns(fields: Sequence[Asked], relatives: Mapping[str, Relative]) -> list[SchemaField]:
    """Return the columns that are asked for: those of a kind, and foreign keys."""
    return [
        SchemaField(
            name=each.name if each.kind else f"{each.name}_id",
            annotation=each.kind.annotation if each.kind else relatives[each.name].key,
            nullable=each.optional,
            default={"default": "None"} if each.optional else {},
            rules=each.rules(),
            refers=each.kind is None,
            shown=not each.is_secret,
        )
        for each in fields
        if not each.many
    ]


def _stored(fields: Sequence[Asked], relatives: Mapping[str, Relative]) -> list[str]:
    rows = []
    for each, column in zip(
        (each for each in fields if not each.many), _columns(fields, relatives), strict=True
    ):
        if each.kind:
            more = {word: "True" for word in ("unique", "index") if getattr(each, word)}
            more |= each.rules(stored=True)
        else:
            ondelete = "SET NULL" if each.optional else "RESTRICT"
            more = {**_reference(relatives[each.name].table, ondelete), "index": "True"}
        arguments = {**column.default, **column.rules, **more}
        rows.append(field_line(column.name, column.whole, arguments))
    return rows


def _relations(
    names: Names, fields: Sequence[Asked], relatives: Mapping[str, Relative]
) -> list[str]:
    rows = []
    for each in fields:
        if each.kind:
            continue
        other = relatives[each.name]
        arguments = {"back_populates": f'"{names.many}"'}
        annotation = f"{other.name} | None" if each.optional else other.name
        if each.many:
            annotation = f"list[{other.name}]"
            arguments |= {
                "link_model": f"{names.name}{other.name}",
                "passive_deletes": '"all"',
            }
        rows.append(field_line(each.name, annotation, arguments, function="Relationship"))
    return rows


def _shown(fields: Sequence[Asked], relatives: Mapping[str, Relative]) -> list[str]:
    return [
        related_line(each.name, brief, many=each.many, optional=each.optional)
        for each in fields
        if each.kind is None and (brief := relatives[each.name].brief)
    ]
