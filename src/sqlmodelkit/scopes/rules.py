"""The rules that tables declare, and the foreign keys between tables that have some."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sqlalchemy import ForeignKeyConstraint
from sqlmodel import SQLModel

from sqlmodelkit.columns import cached, columns_of, mapper_of
from sqlmodelkit.errors import ConfigError, ForeignKeyViolation
from sqlmodelkit.models import Scoped, is_mapped

Row = Mapping[str, Any]


@cached
def rules_of(model: type[SQLModel]) -> Mapping[str, str]:
    """Return the rules of a table: the name of each, and the attribute that it compares.

    Raises:
        ConfigError: A rule names no column.
    """
    rules: dict[str, str] = {}
    for parent in reversed(model.__mro__):
        rules.update(parent.__dict__.get("__scopes__", {}))
    for name, attribute in rules.items():
        if attribute not in columns_of(model):
            raise ConfigError(
                f"{model.__name__}.__scopes__ has {name!r} by {attribute!r}, which is no column.",
                hint="Name the attribute that holds the scope's value.",
                fields=[attribute],
            )
    return MappingProxyType(rules)


def scoped_models() -> tuple[type[SQLModel], ...]:
    """Return every table model that has a rule."""
    return tuple(_mapped(Scoped))


def _mapped(parent: type[SQLModel]) -> Iterator[type[SQLModel]]:
    for model in parent.__subclasses__():
        if is_mapped(model):
            yield model
        yield from _mapped(model)


def parameter_of(model: type[SQLModel], name: str) -> str:
    """Return the parameter that carries a rule's value to a table.

    A parameter is sent once, in one type, wherever it stands in a statement; so the type is part
    of its name.
    """
    column = columns_of(model)[rules_of(model)[name]]
    return f"scope_{name}_{type(column.type).__name__.lower()}"


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key to a table with rules.

    Attributes:
        model: The table model that has it.
        names: Its attributes.
        parent: The table model that it leads to.
        targets: What they are equal to there, in the same order.
        relations: The relations that set it.
    """

    model: type[SQLModel]
    names: tuple[str, ...]
    parent: type[SQLModel]
    targets: tuple[str, ...]
    relations: tuple[str, ...]

    def keys(self, rows: Iterable[Row]) -> list[tuple[Any, ...]]:
        """Return what rows refer to, each once; a key with a NULL refers to nothing."""
        keys = (tuple(row.get(name) for name in self.names) for row in rows)
        return list(dict.fromkeys(key for key in keys if None not in key))

    def refused(self) -> ForeignKeyViolation:
        """Return the error for a reference to a row that is not there, or not in scope."""
        name = self.model.__name__
        return ForeignKeyViolation(
            f"{name} refers by {' and '.join(self.names)} to a row that does not exist.",
            fields=self.names,
            model=name,
            missing=True,
        )


@cached
def references_of(
    model: type[SQLModel], parents: Sequence[type[SQLModel]]
) -> tuple[Reference, ...]:
    """Return the foreign keys of a table that may lead to rows of another scope.

    Args:
        model: The table model.
        parents: The table models that have rules.
    """
    mapper = mapper_of(model)
    table: Any = mapper.local_table
    names = {column: name for name, column in columns_of(model).items()}
    known = {mapper_of(parent).local_table: parent for parent in reversed(parents)}
    found = []
    for key in table.constraints:
        parent = known.get(key.referred_table) if isinstance(key, ForeignKeyConstraint) else None
        if parent is None:
            continue
        theirs = {column: name for name, column in columns_of(parent).items()}
        local = {element.parent for element in key.elements}
        reference = Reference(
            model,
            tuple(names[element.parent] for element in key.elements),
            parent,
            tuple(theirs[element.column] for element in key.elements),
            tuple(
                relation.key
                for relation in mapper.relationships
                if not relation.uselist and relation.local_columns == local
            ),
        )
        if not _is_within(reference):
            found.append(reference)
    return tuple(found)


def _is_within(reference: Reference) -> bool:
    """Tell whether the foreign key alone says that the parent has the scope of the child."""
    own = rules_of(reference.model)
    pairs = dict(zip(reference.targets, reference.names, strict=True))
    return all(
        attribute in pairs and own.get(name) == pairs[attribute]
        for name, attribute in rules_of(reference.parent).items()
    )
