"""Checks of tables and relations."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Double, Float, MetaData, Numeric, Table
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import RelationshipProperty

from sqlmodelkit.advising import indexed
from sqlmodelkit.columns import columns_of, relations_of
from sqlmodelkit.consoles import classes_of
from sqlmodelkit.service import ServiceBase

from .findings import Seen, Subject

Service = type[ServiceBase[Any, Any, Any]]
_DOUBLE_BITS = 25
"""From this precision on FLOAT is DOUBLE there."""
_PARTS = {
    "contains",
    "icontains",
    "endswith",
    "iendswith",
    "like",
    "ilike",
    "not_like",
    "not_ilike",
}


def foreign_key_indexes(subject: Subject) -> Seen:
    """Look for foreign keys whose columns no index begins with."""
    if subject.engine in ("mysql", "mariadb"):
        return Seen(said=f"{subject.engine} makes them itself")
    problems = tuple(_bare_keys(subject.metadata))
    return Seen(problems, said=f"{_count_keys(subject.metadata)} foreign keys")


def _count_keys(metadata: MetaData) -> int:
    return sum(len(table.foreign_key_constraints) for table in metadata.tables.values())


def _bare_keys(metadata: MetaData) -> Iterator[tuple[str, str]]:
    for table in metadata.tables.values():
        for key in sorted(table.foreign_key_constraints, key=lambda k: tuple(k.column_keys)):
            names = [column.name for column in key.columns]
            if not any(
                set(have[: len(names)]) == set(names) for have in indexed(table, whole=True)
            ):
                yield (
                    (
                        f"{table.name} ({', '.join(names)}) refers to {key.referred_table.name} "
                        "without an index."
                    ),
                    _declare(table, names),
                )


def _declare(table: Table, names: list[str]) -> str:
    if len(names) == 1:
        return f"Put index=True on the field of {table.name}.{names[0]}."
    quoted = ", ".join(f'"{name}"' for name in names)
    return f"Put Index(None, {quoted}) into __table_args__ of {table.name}."


def filter_indexes(subject: Subject) -> Seen:
    """Look for fields that a service names for filters or sorts, and that no index begins with."""
    problems: list[tuple[str, str]] = []
    declared = 0
    for service in subject.services:
        for field in _declared(service):
            declared += 1
            column = _column(service.model, field)
            table: Any = column.table
            if not any(have[:1] == (column.name,) for have in indexed(table)):
                problems.append(
                    (
                        f"{service.__name__} lets clients ask by {field}, which has no index.",
                        _declare(table, [column.name]),
                    )
                )
    said = f"{declared} declared fields"
    if subject.services and not declared:
        said = "no service names what clients may filter and sort by: everything shown"
    return Seen(tuple(problems), said=said)


def _declared(service: Service) -> Iterator[str]:
    """Yield the columns that `filterable` and `sortable` name, also those behind relations.

    What looks for a part of a text is left out: an ordinary index does not serve it.
    """
    named = [entry for entry in (*service.filterable, *service.sortable) if isinstance(entry, str)]
    found: dict[str, None] = {}
    for entry in named:
        path, model, words = "", service.model, entry.split("__")
        while words and words[0] in relations_of(model):
            path += f"{words[0]}__"
            model = relations_of(model)[words[0]].mapper.class_
            words = words[1:]
        if words and words[0] in columns_of(model) and not _PARTS & set(words[1:]):
            found[path + words[0]] = None
    yield from found


def _column(model: type[Any], field: str) -> Any:
    *relations, name = field.split("__")
    for relation in relations:
        model = relations_of(model)[relation].mapper.class_
    return columns_of(model)[name]


def numbers(subject: Subject) -> Seen:
    """Look for columns in which MariaDB and MySQL keep less of a number than Python has."""
    if subject.engine not in ("mysql", "mariadb"):
        return Seen(said=f"{subject.engine} keeps them")
    problems, dialect = [], mysql.dialect()
    for table in subject.metadata.tables.values():
        for column in table.columns:
            kind = column.type.dialect_impl(dialect)
            where = f"{table.name}.{column.name}"
            if isinstance(kind, Float):
                if not isinstance(kind, Double) and (kind.precision or 0) < _DOUBLE_BITS:
                    fix = f"Put sa_type=Double on the field of {where}."
                    problems.append((f"{where} keeps about 7 digits of a float.", fix))
            elif isinstance(kind, Numeric) and kind.scale is None:
                fix = f"Put max_digits=… and decimal_places=… on the field of {where}."
                problems.append((f"{where} keeps no decimal places: 1.5 is stored as 2.", fix))
    return Seen(tuple(problems))


def back_populates(subject: Subject) -> Seen:
    """Look for relations that know no other side."""
    relations = dict(_relations(subject))
    problems = tuple(
        (
            f"{label} has no back_populates.",
            (
                f'Write Relationship(back_populates="…") there, and the other side in '
                f"{relation.mapper.class_.__name__}."
            ),
        )
        for label, relation in relations.items()
        if not relation.back_populates and not relation.viewonly
    )
    return Seen(problems, said=f"{len(relations)} relations")


def _relations(subject: Subject) -> Iterator[tuple[str, RelationshipProperty[Any]]]:
    known = [found for found in classes_of(subject.metadata) if hasattr(found, "__table__")]
    for model in dict.fromkeys([*(service.model for service in subject.services), *known]):
        for name, relation in relations_of(model).items():
            yield f"{model.__name__}.{name}", relation
