"""One row written and answered by one statement, where the database can do that. Ring 6.

An INSERT or UPDATE that returns what the response shows needs no object, no flush and no second
statement. Where the application has a say in how rows are written (listeners, validators, code in
the model), or the database cannot return rows, the session does it. Start at `Writer`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from sqlalchemy import Dialect, Insert, Update, bindparam, insert, null, update
from sqlmodel import SQLModel

from .columns import columns_of, key_of, mapper_of
from .filters import Checked
from .models import SoftDelete, Version
from .plan import Plan
from .sessions import translating
from .sheets import defaults, has_listeners, is_plain
from .statements import Compiled, Latest, compile_statement
from .units import UnitOfWork

Item = dict[str, Any]
Verb = Literal["insert", "update"]


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
        said = has_listeners(self.model) or not is_plain(self.model)
        if said or self.unit.holds_rows or self.unit.overseen:
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
        given = {**defaults(self.model, values), **values}
        if self.unit.scope.references(self.model):
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

        if self.unit.scope.references(self.model):
            await self._check(values)
        given = {**_values(values), **key.values, **self.unit.scope.parameters}
        form = ("update", key.key, self.unit.scope.form, *_form(values))
        returned = plan.is_flat and self.unit.can_return("update")
        rows = await self._run(statement, form, given, plan if returned else None, last=last)
        return returned, plan.fetch.build(rows, ())[0] if rows else None

    async def _check(self, values: Mapping[str, Any]) -> None:
        with translating():
            await self.unit.session.check_references(self.model, [values])

    @property
    def _table(self) -> Any:
        return mapper_of(self.model).local_table

    def _returned(self, plan: Plan[Any] | None) -> list[Any]:
        if plan is None:
            return []
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

        def compiled(dialect: Dialect) -> Compiled:
            columns = self._returned(plan)
            return compile_statement(returning(columns), dialect, columns)

        def returning(columns: Sequence[Any]) -> Insert | Update:
            return statement().returning(*columns) if columns else statement()

        alone = last and plan is not None and plan.is_flat
        with translating():
            async with self.unit.wire(writing=True, last=alone, overseen=False) as wire:
                if not wire.compiled:
                    return await wire.fetch(returning(self._returned(plan)), values)
                found = self.statements.get(
                    (wire.dialect, form, plan and plan.response), lambda: compiled(wire.dialect)
                )
                return await wire.fetch(found, values)


def _form(values: Mapping[str, Any]) -> tuple[object, ...]:
    """Return what tells the SQL of these values from that of others."""
    return tuple(values), tuple([name for name, value in values.items() if value is None])


def _parameter(name: str, column: Any) -> Any:
    return bindparam(f"value_{name}", type_=column.type)


def _values(values: Mapping[str, Any]) -> dict[str, Any]:
    return {f"value_{name}": value for name, value in values.items() if value is not None}
