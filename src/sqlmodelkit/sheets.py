"""Many rows as columns, and what a table model adds to a row by itself. Ring 2.

What is done to a column at once costs a fraction of what it costs row by row. Start at `Sheet`.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from pydantic_core import PydanticUndefined
from sqlalchemy import Column, ColumnElement, Computed, PrimaryKeyConstraint, UniqueConstraint
from sqlmodel import SQLModel

from .columns import bounds, cached, columns_of, flat_fields, key_of, mapper_of, misfit, text_type
from .errors import ConfigError, InvalidValue
from .models import Version

_OWN_INIT_LISTENERS = 1  # SQLAlchemy's
_ASKED = "Write rows of it with create, create_many and update."


@dataclass(frozen=True, slots=True)
class Sheet:
    """Rows that have values for the same attributes.

    Attributes:
        columns: The values of each attribute, in the order of the rows.
        given: The attributes that the caller has given, and which are not defaults.
        numbers: The place of each row in what the caller has given.
    """

    columns: Mapping[str, Sequence[Any]]
    given: frozenset[str]
    numbers: Sequence[int]

    def __len__(self) -> int:
        return len(self.numbers)

    def part(self, positions: Sequence[int]) -> "Sheet":
        """Return the rows at these positions."""
        return replace(
            self,
            columns={
                name: [values[position] for position in positions]
                for name, values in self.columns.items()
            },
            numbers=[self.numbers[position] for position in positions],
        )

    def keys(self, names: Sequence[str]) -> list[Any]:
        """Return what each row has for some attributes."""
        columns = [self.columns[name] for name in names]
        return list(columns[0]) if len(columns) == 1 else list(zip(*columns, strict=True))

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows, by attribute."""
        names = tuple(self.columns)
        values = zip(*self.columns.values(), strict=True)
        return [dict(zip(names, row, strict=True)) for row in values]


def sheets_of_models(
    model: type[SQLModel], rows: Sequence[BaseModel], first: int
) -> list[Sheet] | None:
    """Return rows of a flat input model as sheets; None where the model is not flat.

    Args:
        model: The table model.
        rows: Instances of one input model.
        first: The place of the first one in what the caller has given.
    """
    schema = type(rows[0])
    if flat_fields(schema) is None:
        return None
    groups: dict[frozenset[str], list[int]] = {}
    for position, row in enumerate(rows):
        groups.setdefault(frozenset(row.model_fields_set), []).append(position)
    sheets = []
    for given, positions in groups.items():
        values = [rows[position].__dict__ for position in positions]
        columns = {
            name: [row[name] for row in values]
            for name, field in schema.model_fields.items()
            if name in given or field.default is not None or _is_bare(model, name)
        }
        sheets.append(Sheet(columns, given, [first + position for position in positions]))
    return sheets


def sheets_of_values(
    model: type[SQLModel], rows: Iterable[tuple[int, Mapping[str, Any], frozenset[str]]]
) -> list[Sheet]:
    """Return rows by attribute as sheets, one for each set of attributes.

    Args:
        model: The table model.
        rows: The place of each row, its values, and which of them the caller has given.
    """
    bare = [name for name in columns_of(model) if _is_bare(model, name)]
    groups: dict[Any, list[tuple[int, Mapping[str, Any]]]] = {}
    for number, values, given in rows:
        filled = {**dict.fromkeys(bare), **values}
        groups.setdefault((frozenset(filled), given), []).append((number, filled))
    return [
        Sheet(
            {name: [values[name] for _, values in group] for name in group[0][1]},
            given,
            [number for number, _ in group],
        )
        for (_, given), group in groups.items()
    ]


def completed(model: type[SQLModel], sheet: Sheet) -> Sheet:
    """Return a sheet with the table model's own defaults for what was not given."""
    added: dict[str, Sequence[Any]] = {}
    for name in _defaulted(model):
        if name not in sheet.columns:
            field = model.model_fields[name]
            added[name] = [field.get_default(call_default_factory=True) for _ in range(len(sheet))]
    return replace(sheet, columns={**sheet.columns, **added}) if added else sheet


def check_sheet(model: type[SQLModel], sheet: Sheet) -> None:
    """Refuse values that their columns cannot hold.

    Raises:
        ConfigError: A name is not a column of the table.
        InvalidValue: A value does not fit; the error names the field and the row.
    """
    columns = columns_of(model)
    for name, values in sheet.columns.items():
        column = columns.get(name)
        if column is None:
            raise ConfigError(
                f"{model.__name__} has no column for {name!r}.",
                hint="Rename the field, or turn it into columns in create_values.",
            )
        if not _fits(column, values):
            for number, value in zip(sheet.numbers, values, strict=True):
                reason = misfit(column, value)
                if reason is not None:
                    raise InvalidValue(
                        f"{name} does not fit its column: {reason}.",
                        hint=f"It is row {number + 1}.",
                        fields=[name],
                        model=model.__name__,
                    )


def _fits(column: Column[Any], values: Sequence[Any]) -> bool:
    """Tell whether all values certainly fit; otherwise they have to be looked at one by one."""
    kinds = set(map(type, values))
    if type(None) in kinds:
        if not column.nullable:
            return False
        values = [value for value in values if value is not None]
        kinds.discard(type(None))
    if kinds == {str}:
        kind = text_type(column)
        text = "".join(values)
        if not text.isascii() or "\x00" in text:
            return False
        return kind is None or kind.length is None or max(map(len, values)) <= kind.length
    if kinds == {int}:
        limits = bounds(column)
        return limits is None or (limits[0] <= min(values) and max(values) <= limits[1])
    return kinds <= {bool, bytes, UUID, date}


@cached
def _is_bare(model: type[SQLModel], name: str) -> bool:
    """Tell whether leaving a column out is the same as NULL."""
    column = columns_of(model).get(name)
    return (
        column is not None
        and bool(column.nullable)
        and column.default is None
        and column.server_default is None
        and column.computed is None
        and column.identity is None
        and name not in _defaulted(model)
    )


def defaults(model: type[SQLModel], values: Collection[str]) -> dict[str, Any]:
    """Return the table model's own defaults for what was not given."""
    found = {}
    for name in _defaulted(model):
        if name not in values:
            value = model.model_fields[name].get_default(call_default_factory=True)
            if value is not None:
                found[name] = value
    return found


@cached
def _defaulted(model: type[SQLModel]) -> tuple[str, ...]:
    columns = columns_of(model)
    return tuple(
        name
        for name, field in model.model_fields.items()
        if name in columns
        and (field.default_factory is not None or field.default not in (None, PydanticUndefined))
    )


def has_listeners(model: type[SQLModel]) -> bool:
    """Tell whether the application listens to how rows of a table are written."""
    heard = _dispatch(model)
    # Asked for every write: written out, it takes half the time.
    return bool(
        heard.before_insert or heard.after_insert or heard.before_update or heard.after_update
    )


@cached
def _dispatch(model: type[SQLModel]) -> Any:
    return mapper_of(model).dispatch


@cached
def is_plain(model: type[SQLModel]) -> bool:
    """Tell whether a row is what its columns say, and nothing else happens when it is written."""
    mapper = mapper_of(model)
    columns = columns_of(model)
    fields = model.model_fields
    factories = [fields[name] for name in columns if name in fields]
    return (
        mapper.inherits is None
        and mapper.polymorphic_on is None
        and len(mapper.tables) == 1
        and not mapper.validators
        and mapper.class_manager.original_init is SQLModel.__init__
        and model.__setattr__ is SQLModel.__setattr__
        and not any(getattr(model, name).dispatch.set for name in columns)
        and not any(field.default_factory_takes_validated_data for field in factories)
        and all(_is_fields(model, name) for name in columns)
        and set(key_of(model)) <= set(columns)
        and not model.__pydantic_post_init__
        and len(mapper.class_manager.dispatch.init) <= _OWN_INIT_LISTENERS
        and (
            mapper.version_id_col is None
            or (issubclass(model, Version) and mapper.version_id_col is columns.get("version"))
        )
    )


def _is_fields(model: type[SQLModel], name: str) -> bool:
    """Tell whether a column's Python default is its field's, and it has no Python onupdate."""
    column = columns_of(model)[name]
    field = model.model_fields.get(name)
    by_field = field is not None and (
        field.default_factory is not None or field.default not in (None, PydanticUndefined)
    )
    default, onupdate = column.default, column.onupdate
    plain_default = default is None or default.is_clause_element or by_field
    return plain_default and (onupdate is None or onupdate.is_clause_element)


def check_plain(model: type[SQLModel]) -> None:
    """Refuse tables whose rows are not written as their columns say.

    Raises:
        ConfigError: Listeners, validators, or code of the model have a say.
    """
    if has_listeners(model) or not is_plain(model):
        raise ConfigError(
            f"Code of {model.__name__} has a say in how each row is written.", hint=_ASKED
        )


@dataclass(frozen=True, slots=True)
class UniqueKey:
    """A unique key of a table.

    Attributes:
        names: Its attributes.
        where: The rows that it is for; None for all.
    """

    names: tuple[str, ...]
    where: ColumnElement[bool] | None = None


@cached
def unique_keys(model: type[SQLModel], dialect: str) -> tuple[UniqueKey, ...]:
    """Return the unique keys that a database has for a table, the primary key first."""
    table: Any = mapper_of(model).local_table
    names = {column: name for name, column in columns_of(model).items()}
    keys = [UniqueKey(key_of(model))]
    for constraint in table.constraints:
        unique = isinstance(constraint, UniqueConstraint)
        if unique and not isinstance(constraint, PrimaryKeyConstraint):
            keys.append(UniqueKey(tuple(names[column] for column in constraint.columns)))
    for index in table.indexes:
        if index.unique and all(part in names for part in index.expressions):
            where = index.dialect_kwargs.get(f"{dialect}_where")
            keys.append(UniqueKey(tuple(names[part] for part in index.expressions), where))
    # Constraints come in no order.
    return (keys[0], *sorted(keys[1:], key=lambda key: key.names))


def unique_key(model: type[SQLModel], on: str | Sequence[str] | None, dialect: str) -> UniqueKey:
    """Return the unique key with these attributes; the primary key for None.

    Raises:
        ConfigError: The table has no such unique key.
    """
    keys = unique_keys(model, dialect)
    if on is None:
        return keys[0]
    asked = (on,) if isinstance(on, str) else tuple(on)
    for key in keys:
        if set(key.names) == set(asked) and len(asked) == len(key.names):
            return key
    shown = ", ".join("(" + ", ".join(key.names) + ")" for key in keys)
    raise ConfigError(
        f"{model.__name__} has no unique key of ({', '.join(asked)}).",
        hint=f"It has {shown}.",
        fields=asked,
    )


def settable(model: type[SQLModel], names: Iterable[str]) -> None:
    """Refuse names that no statement over many rows may set.

    Raises:
        ConfigError: One is no column, part of the key, computed, or the version.
    """
    columns = columns_of(model)
    for name in names:
        column = columns.get(name)
        if column is None:
            reason = "is no column"
        elif column.primary_key:
            reason = "is part of the key"
        elif isinstance(column.computed, Computed):
            reason = "is computed by the database"
        elif issubclass(model, Version) and name == "version":
            reason = "is counted up by every write"
        else:
            continue
        raise ConfigError(f"{model.__name__}.{name} cannot be set: it {reason}.", fields=[name])
