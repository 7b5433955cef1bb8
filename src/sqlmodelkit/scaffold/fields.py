"""What a person asks for, as `name:str:unique age:int? team:Team powers:Power[]`.

Start at `parse`.
"""

import keyword
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from sqlmodel import SQLModel

from sqlmodelkit.errors import ConfigError
from sqlmodelkit.inspection import looks_secret


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of column: what stands in the source, where it comes from, and a value for tests."""

    annotation: str
    imports: tuple[tuple[str, str], ...] = ()
    arguments: tuple[str, ...] = ()
    sample: str = ""


KINDS = {
    "bool": Kind("bool", sample="True"),
    "date": Kind("date", (("datetime", "date"),), sample='"2026-01-31"'),
    "datetime": Kind("datetime", (("datetime", "datetime"),), sample='"2026-01-31T12:00:00Z"'),
    "decimal": Kind(
        "Decimal",
        (("decimal", "Decimal"),),
        ("max_digits=12", "decimal_places=2"),
        sample='"12.50"',
    ),
    "float": Kind("float", sample="1.5"),
    "int": Kind("int", (), ("ge=-(2**31)", "le=2**31 - 1"), sample="7"),
    "str": Kind("str", (), ("min_length=1", "max_length=255"), sample='"some"'),
    "text": Kind("str", (("sqlalchemy", "Text"),), ("max_length=65535", "sa_type=Text"), '"long"'),
    "uuid": Kind("UUID", (("uuid", "UUID"),), sample='"0194e9c4-0000-7000-8000-000000000000"'),
}
"""Types of columns by the names that people give."""

_OPTIONS = ("unique", "index")
_FIELD = re.compile(r"[a-z][a-z0-9_]*")
_MODEL = re.compile(r"[A-Z][A-Za-z0-9]*")
_OWN = {"id", "created_at", "updated_at", "registry", *dir(SQLModel)}
_TYPES = {"bool", "float", "int", "str"}
_DAYS = {"date", "datetime"}
_IMPORTED = {
    *("APIRouter", "Annotated", "Any", "AsyncClient", "Database", "Decimal", "ErrorBody", "Field"),
    *("NotFound", "Relationship", "SQLModel", "ServiceBase", "Text", "Timestamps", "UUID"),
    *("UUIDKey", "UniqueViolation"),
}
"""What the modules of a resource import: a class of such a name would hide it."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A field that is asked for: a column of a kind, or a relation to a table.

    Attributes:
        name: The field's name.
        kind: The kind of the column; None for a relation.
        target: The table that a relation leads to.
        many: Whether it leads to several rows.
        optional: Whether it may be empty.
        unique: Whether no two rows have the same value.
        index: Whether rows are looked for by it.
    """

    name: str
    kind: Kind | None = None
    target: str = ""
    many: bool = False
    optional: bool = False
    unique: bool = False
    index: bool = False

    @property
    def is_secret(self) -> bool:
        """Whether it is a column that no client may see, by its name."""
        return self.kind is not None and looks_secret(self.name)

    def rules(self, *, stored: bool = False) -> dict[str, str]:
        """Return the arguments of the column's kind: those that clients keep to, or the table's."""
        pairs = (text.partition("=") for text in (self.kind.arguments if self.kind else ()))
        return {name: value for name, _, value in pairs if name.startswith("sa_") is stored}


def parse(texts: Iterable[str]) -> list[Asked]:
    """Read the fields of a resource.

    Raises:
        ConfigError: One of them cannot be read, or stands there twice.
    """
    fields = [_one(text) for text in texts]
    names = [field.name for field in fields]
    if hides_days(names):
        fields = [_by_module(field) for field in fields]
    names += [f"{field.name}_id" for field in fields if not (field.kind or field.many)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(
            f"The field {twice[0]} is asked for twice.",
            hint="Leave one out; a relation team:Team makes team_id itself.",
        )
    if not any(field.kind and not (field.optional or field.is_secret) for field in fields):
        raise ConfigError(
            f"There is no column that must be given among "
            f"{', '.join(field.name for field in fields)}.",
            hint="Add one to know a row by, as name:str; relations, secrets, and columns with ?, are none.",
        )
    return fields


def hides_days(names: Iterable[str]) -> bool:
    """Tell whether a field has the name of the type of days, which it would hide in its class."""
    return not _DAYS.isdisjoint(names)


def _by_module(field: Asked) -> Asked:
    """Return a field whose type of days no other field can hide."""
    if field.kind is None or field.kind.annotation not in _DAYS:
        return field
    annotation = f"dt.{field.kind.annotation}"
    return replace(
        field, kind=replace(field.kind, annotation=annotation, imports=(("datetime", " as dt"),))
    )


def check_model(name: str) -> None:
    """Refuse a name that is none of a class, or one that the resource's modules import.

    Raises:
        ConfigError: It is such a name.
    """
    if not _MODEL.fullmatch(name) or keyword.iskeyword(name):
        raise ConfigError(f"{name!r} is no name of a class.", hint="Write it as Hero.")
    if name in _IMPORTED:
        raise ConfigError(
            f"{name} has a meaning in the modules that would be written.",
            hint="Choose another name.",
        )


def _check_name(name: str) -> None:
    if not _FIELD.fullmatch(name):
        raise ConfigError(f"{name!r} cannot be a field.", hint="Write it as name:str.")
    if name in _OWN:
        raise ConfigError(
            f"{name!r} cannot be a field: every model has something of this name.",
            hint="Choose another name.",
        )
    if keyword.iskeyword(name) or name in _TYPES:
        raise ConfigError(
            f"{name!r} cannot be a field: it has a meaning in Python.", hint="Choose another name."
        )


def _one(text: str) -> Asked:
    name, _, rest = text.partition(":")
    kind, *options = rest.split(":")
    _check_name(name)
    unknown = [option for option in options if option not in _OPTIONS]
    if unknown:
        raise ConfigError(
            f"{text!r} asks for {unknown[0]!r}.", hint=f"Known are {', '.join(_OPTIONS)}."
        )
    optional, many = kind.endswith("?"), kind.endswith("[]")
    bare = kind.removesuffix("?").removesuffix("[]")
    if bare in KINDS and not many:
        return Asked(
            name, KINDS[bare], "", optional=optional, unique="unique" in options,
            index="index" in options,
        )  # fmt: skip
    if not _MODEL.fullmatch(bare) or options:
        raise ConfigError(
            f"{text!r} is no field.",
            hint=f"Types are {', '.join(KINDS)}, a table as Team, or several as Power[]; "
            "a ? makes it optional, :unique and :index belong to columns.",
        )
    return Asked(name, None, bare, many=many, optional=optional)
