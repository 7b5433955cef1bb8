"""One row written and answered by one statement, where the database can do that. Ring 6.

An INSERT or UPDATE that returns what the response shows needs no object, no flush and no second
statement. Where the application has a say in how rows are written (listeners, validators, code in
the model), or the database cannot return rows, the session does it. Start at `Writer`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from pydantic_core import PydanticUndefined
from sqlalchemy import Insert, Update, bindparam, insert, null, update
from sqlmodel import SQLModel

from .columns import cached, columns_of, key_of, mapper_of
from .filters import Checked
from .models import SoftDelete, Version
from .plan import Plan
from .sessions import translating
from .statements import Compiled, Latest, compile_statement
from .units import UnitOfWork

Item = dict[str, Any]
Verb = Literal["insert", "update"]

_OWN_INIT_LISTENERS = 1  # SQLAlchemy's
_LISTENED = ("before_insert", "after_insert", "before_update", "after_update")


class Writer:
    """Writes rows of one table in a unit of work, and answers what a plan shows of them.

    Attributes:
        model: The table model.
        unit: The unit of work.
        statements: What has been compiled before, by what tells statements apart.
    """

    def __init__(
        self, model: type[SQLModel], unit: UnitOfWork, statements: Latest[Compiled]
    ) -> None:
        self.model = model
        self.unit = unit
        self.statements = statements

    def can(self, verb: Verb) -> bool:
        """Tell whether rows of this table can be written here without the session's help."""
        mapper = mapper_of(self.model)
        listened = any(getattr(mapper.dispatch, name) for name in _LISTENED)
        if listened or self.unit.holds_rows or self.unit.overseen or not _plain(self.model):
            return False
        return verb == "update" or self.unit.can_return(verb)

    async def insert(
        self, values: Mapping[str, Any], plan: Plan[Any], *, last: bool
    ) -> tuple[Any, Item | None]:
        """Add a row; what was not given comes from the table model.

        Args:
            values: Values by attribute.
            plan: What is to be answered.
            last: Whether nothing else happens in the unit of work.

        Returns:
            The row's key, and what the plan shows of it when that are its own columns.

        Raises:
            ForeignKeyViolation: The row refers to one that is missing, or not in scope.
        """
        given = {**_defaults(self.model, values), **values}
        await self._check(given)

        def statement() -> Insert:
            return insert(self._table).values(self._assigned(given))

        form = ("insert", *_form(given))
        (row,) = await self._run(statement, form, _values(given), plan, last=last)
        if plan.is_flat:
            return plan.fetch.key(row), plan.fetch.build([row], ())[0]
        return row[0] if len(row) == 1 else tuple(row), None

    async def update(
        self, key: Checked, values: Mapping[str, Any], plan: Plan[Any], *, last: bool
    ) -> tuple[bool, Item | None]:
        """Change a row.

        Args:
            key: The filter that finds it.
            values: Values by attribute.
            plan: What is to be answered.
            last: Whether nothing else happens in the unit of work.

        Returns:
            Whether the answer is known, and then what the plan shows of the row, None when there
            is no such row. Otherwise the row has to be read.
        """

        def statement() -> Update:
            columns, assigned = columns_of(self.model), self._assigned(values)
            if issubclass(self.model, Version):
                assigned[columns["version"]] = columns["version"] + 1
            kept = (*key.expressions(), *self.unit.scope.where(self.model))
            changed = update(self._table).where(*kept).values(assigned)
            if issubclass(self.model, SoftDelete):
                return changed.where(columns["deleted_at"].is_(None))
            return changed

        await self._check(values)
        given = {**_values(values), **key.values, **self.unit.scope.parameters}
        form = ("update", key.key, self.unit.scope.form, *_form(values))
        returned = plan.is_flat and self.unit.can_return("update")
        rows = await self._run(statement, form, given, plan if returned else None, last=last)
        return returned, plan.fetch.build(rows, ())[0] if rows else None

    async def _check(self, values: Mapping[str, Any]) -> None:
        if self.unit.scope.references(self.model):
            with translating():
                await self.unit.session.check_references(self.model, [values])

    @property
    def _table(self) -> Any:
        return mapper_of(self.model).local_table

    def _returned(self, plan: Plan[Any]) -> list[Any]:
        if plan.is_flat:
            return [column.property.columns[0] for column in plan.fetch.columns]
        return [columns_of(self.model)[name] for name in key_of(self.model)]

    def _assigned(self, values: Mapping[str, Any]) -> dict[Any, Any]:
        columns = columns_of(self.model)
        return {
            columns[name]: null() if value is None else _parameter(name, columns[name])
            for name, value in values.items()
        }

    async def _run(
        self,
        statement: Callable[[], Insert | Update],
        form: object,
        values: dict[str, Any],
        plan: Plan[Any] | None,
        *,
        last: bool,
    ) -> Sequence[Sequence[Any]]:
        """Run a statement that returns what the plan shows, or at least the key."""
        columns = [] if plan is None else self._returned(plan)

        def returning() -> Insert | Update:
            return statement().returning(*columns) if columns else statement()

        alone = last and plan is not None and plan.is_flat
        with translating():
            async with self.unit.wire(last=alone) as wire:
                if not wire.compiled:
                    return await wire.fetch(returning(), values)
                compiled = self.statements.get(
                    (wire.dialect, form, plan and plan.response),
                    lambda: compile_statement(returning(), wire.dialect, columns),
                )
                return await wire.fetch(compiled, values)


def _form(values: Mapping[str, Any]) -> tuple[object, ...]:
    """Return what tells the SQL of these values from that of others."""
    return tuple((name, value is None) for name, value in values.items())


def _parameter(name: str, column: Any) -> Any:
    return bindparam(f"value_{name}", type_=column.type)


def _values(values: Mapping[str, Any]) -> dict[str, Any]:
    return {f"value_{name}": value for name, value in values.items() if value is not None}


def _defaults(model: type[SQLModel], values: Mapping[str, Any]) -> dict[str, Any]:
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


@cached
def _plain(model: type[SQLModel]) -> bool:
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
