"""What clients send and see of a table that a person has written, put beside it.

Start at `add_schemas`. The classes are those of `add resource`; what is there stays as it is.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from sqlalchemy.orm import RelationshipDirection, RelationshipProperty
from sqlmodel import SQLModel

from sqlmodelkit.columns import mapper_of, relations_of
from sqlmodelkit.errors import ConfigError
from sqlmodelkit.inspection import looks_secret
from sqlmodelkit.models import Scoped, SoftDelete
from sqlmodelkit.projects import Project, find_class
from sqlmodelkit.schemas import (
    brief_lines,
    class_text,
    create_lines,
    public_lines,
    related_line,
    update_lines,
)

from . import sources
from .changes import Changes
from .stored import Source, Stored
from .writing import Names

_PARTS = ("Create", "Update", "Brief", "Public")


@dataclass(frozen=True, slots=True)
class Additions:
    """What `add_schemas` would do.

    Attributes:
        file: The module, below the project's root.
        added: The classes that would be written.
        kept: Those that are there already, and stay as they are.
        notes: What a person should look at.
        changes: The change of the module.
    """

    file: str
    added: list[str]
    kept: list[str]
    notes: list[str]
    changes: Changes


def add_schemas(project: Project, address: str) -> Additions:
    """Return the schemas that a table lacks, as a change of its module.

    Args:
        project: The project.
        address: The table, as `app.models:Hero`.

    Raises:
        ConfigError: It is no table, or not one of the project, or is written in a way that cannot
            be read.
    """
    project.load_models()
    model = find_class(address, SQLModel)
    mapper_of(model)
    source = Source.of(model)
    if source is None or not _is_below(source, project.root):
        raise ConfigError(
            f"{address} is in {model.__module__}, which is no module of {project.root}.",
            hint="Schemas are written beside tables of your own.",
        )
    return _Beside(project, source, Stored.all_of(model)).additions()


def _is_below(source: Source, root: Path) -> bool:
    return Path(source.module.__file__ or "").resolve().is_relative_to(root.resolve())


@dataclass
class _Beside:
    project: Project
    source: Source
    columns: list[Stored]
    used: set[str] = field(default_factory=set)
    imports: set[tuple[str, str]] = field(default_factory=set)

    def additions(self) -> Additions:
        classes = dict(self._classes())
        there = self._there()
        kept = [name for name in classes if name in there]
        written = {name: write() for name, write in classes.items() if name not in there}
        added = {name: text for name, text in written.items() if text}
        self._use("\n\n".join(added.values()))
        root = self.project.root.resolve()
        file = Path(self.source.module.__file__ or "").resolve().relative_to(root).as_posix()
        changes = Changes(self.project.root)
        if added:
            changes.edit(file, lambda text: self._extended(text, list(added.values())))
        return Additions(file, list(added), kept, self._notes(list(added)), changes)

    @property
    def model(self) -> type[SQLModel]:
        return self.source.model

    @property
    def name(self) -> str:
        return self.model.__name__

    @cached_property
    def base(self) -> type[SQLModel] | None:
        """The class of the columns that clients may both send and see, where there is one."""
        parents = (each for each in self.model.__mro__ if issubclass(each, SQLModel))
        for parent in parents:
            if parent.__name__ == f"{self.name}Base" and "__mapper__" not in vars(parent):
                inherited = [
                    each for each in self.columns if each.field.name in parent.model_fields
                ]
                fits = all(
                    each.field.written and each.field.shown and not each.field.key
                    for each in inherited
                )
                bound = getattr(self.source.module, parent.__name__, None) is parent
                return parent if fits and bound else None
        return None

    def _classes(self) -> Iterator[tuple[str, Any]]:
        """Return the name of each class, and what writes it."""
        writers = (self._create, self._update, self._brief, self._public)
        for part, write in zip(_PARTS, writers, strict=True):
            yield f"{self.name}{part}", write

    def _own(self) -> list[Stored]:
        """Return the columns that the base class does not give."""
        inherited = self.base.model_fields if self.base else {}
        return [each for each in self.columns if each.field.name not in inherited]

    def _head(self, part: str, *, based: bool) -> str:
        parent = f"{self.name}Base" if based and self.base else "SQLModel"
        return f"{self.name}{part}({parent})"

    def _create(self) -> str:
        lines = create_lines(each.field for each in self._own())
        return class_text(self._head("Create", based=True), lines)

    def _update(self) -> str:
        lines = update_lines(each.field for each in self.columns)
        return class_text(self._head("Update", based=False), lines)

    def _brief(self) -> str:
        lines = brief_lines([each.field for each in self.columns])
        told = Names(self.name, "", "").in_another()
        return class_text(self._head("Brief", based=False), lines, docstring=told) if lines else ""

    def _public(self) -> str:
        lines = [*public_lines(each.field for each in self._own()), *self._relations()]
        return class_text(self._head("Public", based=True), lines)

    def _relations(self) -> Iterator[str]:
        """Show what relations lead to, where that has a brief form which this module can name.

        The many rows that refer to one are left out: no answer should grow with them unasked.
        """
        for name, relation in relations_of(self.model).items():
            if relation.direction is RelationshipDirection.ONETOMANY and relation.uselist:
                continue
            brief = self._brief_of(relation.mapper.class_)
            if brief:
                optional = _may_be_none(relation)
                yield related_line(name, brief, many=bool(relation.uselist), optional=optional)

    def _brief_of(self, target: type[SQLModel]) -> str | None:
        brief = f"{target.__name__}Brief"
        here = vars(self.source.module)
        if brief in here:
            return brief
        if target is self.model:
            return brief if brief_lines([each.field for each in self.columns]) else None
        there = Source.of(target)
        # A module that is not imported here may import this one.
        reachable = here.get(target.__name__) is target
        if there is None or not reachable or not hasattr(there.module, brief):
            return None
        self.imports.add((target.__module__, brief))
        return brief

    def _use(self, text: str) -> None:
        """Take note of the names that the classes need, and import those that are not there."""
        self.used = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
        for name in ("Field", "SQLModel"):
            if name in self.used:
                self.imports.add(("sqlmodel", name))
        for each in self.columns:
            for name in each.names & self.used - {"Field"}:
                self._import(each, name)

    def _import(self, column: Stored, name: str) -> None:
        here, there = vars(self.source.module), vars(column.source.module)
        if name not in there or (name in here and here[name] is there[name]):
            return  # a builtin, or known already
        if name in here:
            raise ConfigError(
                f"{self.name}.{column.field.name} needs {name} of {column.source.module.__name__}, "
                f"and {name} is something else in {self.source.module.__name__}.",
                hint="Write the schemas by hand.",
            )
        self.imports.add(column.source.imported(name))

    def _there(self) -> set[str]:
        """Return the classes that the module has already, imported ones included."""
        return {f"{self.name}{part}" for part in _PARTS} & set(vars(self.source.module))

    def _extended(self, text: str, classes: list[str]) -> str:
        """Return the module with further classes, behind everything that they need."""
        family = {self.name, f"{self.name}Base", *(f"{self.name}{part}" for part in _PARTS)}
        tree = ast.parse(text)
        after = max(
            number
            for number, node in enumerate(tree.body)
            if _bound_by(node) & (family | self.used) or _is_import(node)
        )
        lines = text.splitlines()
        end = tree.body[after].end_lineno or len(lines)
        rest = "\n".join(lines[end:]).strip("\n")
        parts = ["\n".join(lines[:end]), *classes, *([rest] if rest else [])]
        extended = "\n\n\n".join(parts) + "\n"
        for module, name in sorted(self.imports):
            extended = sources.with_import(extended, self._from(module, tree), name)
        return extended

    def _from(self, module: str, tree: ast.Module) -> str:
        """Return a module as the others of its package are named here."""
        package = f"{self.source.module.__package__}."
        relative = any(isinstance(node, ast.ImportFrom) and node.level == 1 for node in tree.body)
        inside = relative and module.startswith(package)
        return f".{module.removeprefix(package)}" if inside else module

    def _notes(self, added: list[str]) -> list[str]:
        """Tell what a person should decide."""
        secret = [each.field.name for each in self.columns if looks_secret(each.field.name)]
        given = [name for name in added if name.endswith(("Create", "Update"))]
        if not secret or not given:
            return []
        note = (
            f"{', '.join(secret)} can be sent by {' and '.join(given)}, and is not shown: "
            "where clients must not send it as it is stored, take it out."
        )
        return [note]


def _may_be_none(relation: RelationshipProperty[Any]) -> bool:
    """Tell whether a row may be without what a relation leads to, or cannot see it."""
    if relation.direction is not RelationshipDirection.MANYTOONE:
        return True
    hidden = issubclass(relation.mapper.class_, SoftDelete | Scoped)
    return hidden or any(column.nullable for column in relation.local_columns)


def _is_import(node: ast.stmt) -> bool:
    return isinstance(node, ast.Import | ast.ImportFrom)


def _bound_by(node: ast.stmt) -> set[str]:
    """Return the names that a statement of a module gives a meaning."""
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return {node.name}
    return {
        inner.id
        for inner in ast.walk(node)
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store)
    }
