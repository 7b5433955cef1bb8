"""The columns of a table as a person has written them: their types, limits and defaults.

Start at `Stored`. Types are taken from the source and not from the class, where aliases, and how a
module names what it imports, are gone.
"""

import ast
import sys
from dataclasses import dataclass
from functools import cache
from importlib.util import resolve_name
from pathlib import Path
from types import ModuleType
from typing import Any

from sqlalchemy import Column
from sqlmodel import SQLModel

from sqlmodelkit.columns import columns_of, key_of
from sqlmodelkit.errors import ConfigError
from sqlmodelkit.inspection import looks_secret
from sqlmodelkit.inspection.texts import tidy
from sqlmodelkit.models import SoftDelete, Timestamps, Version
from sqlmodelkit.schemas import SchemaField
from sqlmodelkit.scopes import rules_of

_STORAGE = {
    *("primary_key", "foreign_key", "ondelete", "unique", "index", "nullable"),
    *("sa_type", "sa_column", "sa_column_args", "sa_column_kwargs"),
}
_DEFAULTS = ("default", "default_factory")
_MIXINS = (
    (Timestamps, ("created_at", "updated_at")),
    (SoftDelete, ("deleted_at",)),
    (Version, ("version",)),
)


@dataclass(frozen=True, slots=True)
class Source:
    """A class as it is written: its module, and the tree."""

    model: type[Any]
    module: ModuleType
    text: str
    tree: ast.Module

    @classmethod
    def of(cls, model: type[Any]) -> "Source | None":
        """Return the source of a class, where there is one."""
        module = sys.modules.get(model.__module__)
        file = getattr(module, "__file__", None)
        if module is None or file is None or Path(file).suffix != ".py":
            return None
        return cls(model, module, *_parsed(file))

    def fields(self) -> dict[str, ast.AnnAssign]:
        """Return what is declared in the body of the class itself."""
        return {
            item.target.id: item
            for node in self.tree.body
            if isinstance(node, ast.ClassDef) and node.name == self.model.__qualname__
            for item in node.body
            if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
        }

    def imported(self, name: str) -> tuple[str, str]:
        """Return the module that a name of this one comes from, and the name there.

        What the module imports as a whole is no name of another: then the second is empty, or
        says as what.
        """
        for node in ast.walk(self.tree):
            if not isinstance(node, ast.Import | ast.ImportFrom):
                continue
            for alias in node.names:
                if (alias.asname or alias.name) != name:
                    continue
                called = f" as {name}" if alias.asname else ""
                if isinstance(node, ast.Import):
                    return alias.name, called
                module = "." * node.level + (node.module or "")
                return resolve_name(module, self.module.__package__), f"{alias.name}{called}"
        return self.module.__name__, name

    def spelled(self, node: ast.expr) -> str:
        """Return an expression as it is written, in one line."""
        text = ast.get_source_segment(self.text, node)
        return text if text and "\n" not in text else tidy(f"{ast.unparse(node)}\n").rstrip()


@cache
def _parsed(file: str) -> tuple[str, ast.Module]:
    text = Path(file).read_text(encoding="utf-8")
    return text, ast.parse(text)


@dataclass(frozen=True, slots=True)
class Stored:
    """A column of a table, with where it is written.

    Attributes:
        field: The column, as schemas have it.
        source: The class that declares it: the table, or one that it derives from.
        names: The names that its text uses, as they are called there.
    """

    field: SchemaField
    source: Source
    names: set[str]

    @classmethod
    def all_of(cls, model: type[SQLModel]) -> list["Stored"]:
        """Return the columns of a table, in the order of its fields.

        Raises:
            ConfigError: One is written in a way that cannot be read.
        """
        columns = columns_of(model)
        return [
            _stored(model, name, columns[name]) for name in model.model_fields if name in columns
        ]


def _stored(model: type[SQLModel], name: str, column: Column[Any]) -> Stored:
    source, node = _declared(model, name)
    annotation = _bare(node.annotation, source)
    given, default = _arguments(node.value, source, f"{model.__name__}.{name}")
    key = name in key_of(model)
    filled = _is_filled(model, name, column)
    if default.get("default") == "None" and not column.nullable and not filled:
        default = {}  # only the class may be without it, not the row
    elif not default and (column.nullable or filled):
        default = {"default": "None"}
    known = SchemaField(
        name=name,
        annotation=annotation,
        nullable=bool(column.nullable) and not key,
        default=default,
        rules=given,
        key=key,
        written=_is_written(model, name, column, key=key, default=default),
        shown=not (looks_secret(name) or _belongs_to(SoftDelete, model, name)) or key,
        refers=bool(column.foreign_keys),
    )
    return Stored(known, source, _names(known))


def _declared(model: type[SQLModel], name: str) -> tuple[Source, ast.AnnAssign]:
    for parent in model.__mro__:
        source = Source.of(parent)
        found = source.fields().get(name) if source else None
        if source and found:
            return source, found
    raise ConfigError(
        f"{model.__name__}.{name} is not declared in any class at the top of a module.",
        hint="Write the schemas by hand.",
    )


def _bare(node: ast.expr, source: Source) -> str:
    """Return an annotation without None."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        quoted = ast.parse(node.value, mode="eval").body
        return _bare(quoted, Source(source.model, source.module, node.value, source.tree))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        sides = [_bare(side, source) for side in (node.left, node.right) if not _is_none(side)]
        return " | ".join(sides)
    if isinstance(node, ast.Subscript):
        outer = ast.unparse(node.value).rpartition(".")[2]
        inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if outer in ("Optional", "Union"):
            return " | ".join(_bare(part, source) for part in inner if not _is_none(part))
        if outer == "Annotated":
            rest = ", ".join(source.spelled(part) for part in inner[1:])
            return f"{source.spelled(node.value)}[{_bare(inner[0], source)}, {rest}]"
    return source.spelled(node)


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _arguments(
    node: ast.expr | None, source: Source, place: str
) -> tuple[dict[str, str], dict[str, str]]:
    """Return what holds for input of a field, and its default."""
    if node is None:
        return {}, {}
    if not (isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "Field"):
        return {}, {"default": source.spelled(node)}
    found: dict[str, str] = {}
    if node.args:
        found["default"] = source.spelled(node.args[0])
    for word in node.keywords:
        if word.arg is None:
            raise ConfigError(
                f"{place} takes arguments from a mapping, which cannot be read.",
                hint="Write them out, or write the schemas by hand.",
            )
        found[word.arg] = source.spelled(word.value)
    default = {
        name: found[name] for name in _DEFAULTS if found.get(name, "...") not in ("...", "Ellipsis")
    }
    rules = {name: text for name, text in found.items() if name not in {*_STORAGE, *_DEFAULTS}}
    return rules, default


def _is_filled(model: type[SQLModel], name: str, column: Column[Any]) -> bool:
    """Tell whether a row has a value without one being given."""
    by_itself = column.server_default is not None or column.default is not None
    counted = column is getattr(column.table, "autoincrement_column", None)
    generated = column.computed is not None or column.identity is not None
    factory = model.model_fields[name].default_factory is not None
    return bool(by_itself or counted or generated or factory)


def _is_written(
    model: type[SQLModel], name: str, column: Column[Any], *, key: bool, default: dict[str, str]
) -> bool:
    """Tell whether clients may give a value."""
    generated = column.computed is not None or column.identity is not None
    moved = column.onupdate is not None or column.server_onupdate is not None
    stamped = name in ("created_at", "updated_at") and bool(default)
    mixed = any(_belongs_to(mixin, model, name) for mixin, _ in _MIXINS)
    scoped = name in rules_of(model).values()
    made = key and _is_filled(model, name, column)
    return not (generated or moved or stamped or mixed or scoped or made)


def _belongs_to(mixin: type[SQLModel], model: type[SQLModel], name: str) -> bool:
    """Tell whether a mixin of ours looks after a column."""
    return issubclass(model, mixin) and any(
        name in names for each, names in _MIXINS if each is mixin
    )


def _names(known: SchemaField) -> set[str]:
    """Return the names that a field's text uses."""
    texts = (known.annotation, *known.default.values(), *known.rules.values())
    trees = (ast.walk(ast.parse(text, mode="eval")) for text in texts)
    return {node.id for tree in trees for node in tree if isinstance(node, ast.Name)}
