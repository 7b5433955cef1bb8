"""Statements of a session kept in its scope, or refused where SQLAlchemy's criteria do not reach.

Start at `limit`.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import BindParameter, ClauseElement, Table, inspect
from sqlalchemy.orm import ORMExecuteState
from sqlalchemy.sql import visitors

from sqlmodelkit.errors import ConfigError

from .rules import rules_of, scoped_models
from .scope import Scope

IN_SCOPE = "in_scope"
"""Execution option of a statement that has been kept in scope by whoever has made it."""


def limit(state: ORMExecuteState, scope: Scope) -> None:
    """Keep a statement in a scope.

    Raises:
        ConfigError: It cannot be kept to it, or the scope has no value for a table's rule.
        InvalidValue: It would move rows out of the scope.
    """
    if not scoped_models() or state.execution_options.get(IN_SCOPE):
        return
    if not state.is_orm_statement:
        _refuse_tables(state.statement, scope)
        return
    models = [mapper.class_ for mapper in state.all_mappers]
    way = _way_around(state)
    for model in models:
        if way and scope.limits(model):
            raise unkept(model.__name__, way)
        if state.is_update:
            scope.check_update(model, _assigned(model, state))
    if state.is_select:
        state.statement = state.statement.options(*scope.options())
        if scope.parameters:
            given = state.parameters if isinstance(state.parameters, Mapping) else {}
            state.parameters = {**given, **scope.parameters}
    elif state.is_update or state.is_delete:
        # What it changes is also looked for among the rows in hand, by the values.
        state.statement = state.statement.options(*scope.valued_options())


def unkept(model: str, way: str) -> ConfigError:
    """Return the error for a way to read or write that knows no scope."""
    return ConfigError(
        f"{model} is limited by the scope, and {way} cannot be kept to it.",
        hint="Write by session.add() or a service, read by select(Model), or leave the scope by "
        "name.",
    )


def _way_around(state: ORMExecuteState) -> str | None:
    """Say in what way a statement gets around criteria, if it does."""
    if state.is_insert:
        return "insert()"
    if state.is_from_statement:
        return "from_statement()"
    if state.is_executemany or not isinstance(state.parameters, Mapping | None):
        return "a list of rows to write"
    return None


def _refuse_tables(statement: Any, scope: Scope) -> None:
    limited = {
        inspect(model).local_table: model for model in scoped_models() if scope.limits(model)
    }
    for element in visitors.iterate(statement) if limited else ():
        if isinstance(element, Table) and element in limited:
            raise unkept(limited[element].__name__, "a statement of its table")


def _assigned(model: type[Any], state: ORMExecuteState) -> dict[str, Any]:
    """Return what an UPDATE sets of what the model's rules compare, None for an expression."""
    # No public name tells what a statement sets.
    values: Mapping[Any, Any] = getattr(state.statement, "_values", None) or {}
    given = state.parameters if isinstance(state.parameters, Mapping) else {}
    named = {getattr(name, "key", name): value for name, value in [*values.items(), *given.items()]}
    found = {}
    for attribute in rules_of(model).values():
        column = inspect(model).attrs[attribute].columns[0]
        for key in {attribute, column.key, column.name} & set(named):
            found[attribute] = _constant(named[key])
    return found


def _constant(value: Any) -> Any:
    if isinstance(value, BindParameter):
        return value.value
    is_sql = isinstance(value, ClauseElement) or hasattr(value, "__clause_element__")
    return None if is_sql else value
