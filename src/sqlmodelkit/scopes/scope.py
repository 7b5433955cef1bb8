"""A scope: the values that a unit of work has for the rules of tables, and what they mean in SQL.

Values are parameters of statements and never part of them, so that what has been compiled for one
tenant serves the next. A table with a rule that a unit of work has no value for cannot be touched
in it. Start at `Scope`.
"""

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Boolean, ColumnElement, bindparam
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import with_loader_criteria
from sqlalchemy.orm.interfaces import ORMOption
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlmodel import SQLModel

from sqlmodelkit.columns import cached, typed
from sqlmodelkit.errors import ConfigError, InvalidValue
from sqlmodelkit.models import Scoped

from .rules import Reference, Row, parameter_of, references_of, rules_of, scoped_models


@dataclass(frozen=True)
class Scope:
    """What a unit of work is limited to: a value for each rule, and the rules that it leaves.

    ```python
    async with db.transaction(scope={"tenant": tenant_id}) as session: ...
    async with db.transaction(scope=Scope(leaving=["tenant"])) as session: ...
    ```

    Attributes:
        values: The value of each rule, by name: rows with another one are not there.
        leaving: The rules that do not hold: rows of all values are there.

    Raises:
        ConfigError: A value is None, a rule has a value and is left, or `leaving` is a text.
    """

    values: Mapping[str, Any] = field(default_factory=dict)
    leaving: Collection[str] = ()

    def __post_init__(self) -> None:
        """Check that the scope says what it means."""
        if isinstance(self.leaving, str):
            raise ConfigError(
                f"leaving={self.leaving!r} is a text.", hint=f'Write leaving=["{self.leaving}"].'
            )
        object.__setattr__(self, "values", MappingProxyType(dict(self.values)))
        object.__setattr__(self, "leaving", frozenset(self.leaving))
        for name, value in self.values.items():
            if value is None or name in self.leaving:
                reason = "has no value" if value is None else "is both given and left"
                raise ConfigError(
                    f"The scope's {name} {reason}.",
                    hint=f'See the rows of all with Scope(leaving=["{name}"]).',
                )

    @classmethod
    def of(cls, given: "Scope | Mapping[str, Any] | None") -> "Scope":
        """Return a scope from what a caller may give: one, its values, or None for no values."""
        if isinstance(given, Scope):
            return given
        return cls(given) if given else UNSET

    def joined(self, other: "Scope") -> "Scope":
        """Return the scope that has what both say.

        Raises:
            ConfigError: They do not agree about a rule.
        """
        if self is UNSET or self == other:
            return other
        for name, value in other.values.items():
            if name in self.values and self.values[name] != value:
                raise ConfigError(
                    f"The unit of work is limited to another {name} already.",
                    hint="Open another one.",
                )
        return Scope({**self.values, **other.values}, {*self.leaving, *other.leaving})

    @cached_property
    def parameters(self) -> Mapping[str, Any]:
        """The values to be sent with every statement, by parameter."""
        found: dict[str, Any] = {}
        for model in scoped_models() if self.values else ():
            for name, attribute in rules_of(model).items():
                parameter = parameter_of(model, name)
                if name in self.values and parameter not in found:
                    # A value that does not fit stays out; the table is then refused.
                    found.update(_fitting(model, attribute, parameter, self.values[name]))
        return found

    @cached_property
    def form(self) -> Hashable:
        """The same for scopes that share their SQL."""
        return frozenset(self.parameters), self.leaving

    def options(self) -> tuple[ORMOption, ...]:
        """Return what keeps a statement in this scope, given `parameters` when it is run.

        A statement that touches a table with a rule that is neither given nor left cannot be
        compiled then: it raises `ConfigError`.
        """
        models = scoped_models()
        left: Any = self.leaving
        return _options(models, frozenset(self.parameters), left) if models else ()

    def valued_options(self) -> tuple[ORMOption, ...]:
        """Return the same with the values in it, where SQLAlchemy has to know them as well."""
        return tuple(
            with_loader_criteria(
                model,
                _condition(model, name, self.parameters.get(parameter_of(model, name))),
                include_aliases=True,
            )
            for model in scoped_models()
            for name, _ in self._held(model)
        )

    def where(self, model: type[SQLModel]) -> list[ColumnElement[bool]]:
        """Return the conditions that rows of a table meet in this scope, to be joined by AND.

        They are needed where a statement is made of the table itself and does not go through a
        session; it is then run with `parameters` among its values.

        Raises:
            ConfigError: The unit of work has no value for a rule of the table.
        """
        held = self._held(model)
        for name, _ in held:
            self._own(model, name)
        return [_comparison(model, name) for name, _ in held]

    def stamp(self, model: type[SQLModel], values: Row) -> dict[str, Any]:
        """Return the values of a new row, by attribute, with those that the scope sets.

        Raises:
            ConfigError: The unit of work has no value for a rule of the table.
            InvalidValue: Another value than the scope's was given.
        """
        stamped = dict(values)
        for name, attribute in self._held(model):
            own = self._own(model, name)
            if stamped.get(attribute) is None:
                stamped[attribute] = own
            elif _differs(model, attribute, stamped[attribute], own):
                raise _moved(model, attribute)
        return stamped

    def check_update(self, model: type[SQLModel], values: Row) -> None:
        """Refuse values, by attribute, that would move a row out of the scope.

        Raises:
            ConfigError: The unit of work has no value for a rule of the table.
            InvalidValue: Another value than the scope's was given.
        """
        for name, attribute in self._held(model):
            own = self._own(model, name)
            if attribute in values and _differs(model, attribute, values[attribute], own):
                raise _moved(model, attribute)

    def holds(self, model: type[SQLModel], values: Row) -> bool:
        """Tell whether a row with these values, by attribute, is in this scope.

        Raises:
            ConfigError: The unit of work has no value for a rule of the table.
        """
        return not any(
            _differs(model, attribute, values.get(attribute), self._own(model, name))
            for name, attribute in self._held(model)
        )

    def limits(self, model: type[Any]) -> bool:
        """Tell whether rows of this table may be out of this scope."""
        return bool(self._held(model))

    def references(self, model: type[SQLModel]) -> tuple[Reference, ...]:
        """Return the foreign keys of a table that might lead to a row out of this scope."""
        parents = scoped_models()
        if not parents:
            return ()
        return tuple(key for key in references_of(model, parents) if self.limits(key.parent))

    def _held(self, model: type[SQLModel]) -> list[tuple[str, str]]:
        """Return the rules of a table that are not left."""
        if not issubclass(model, Scoped):
            return []
        return [rule for rule in rules_of(model).items() if rule[0] not in self.leaving]

    def _own(self, model: type[SQLModel], name: str) -> Any:
        parameter = parameter_of(model, name)
        if parameter not in self.parameters:
            raise _missing(model, name, given=name in self.values)
        return self.parameters[parameter]


UNSET = Scope()
"""No scope at all: tables without rules can be used, and no others."""


@cached
def _options(
    models: Sequence[type[SQLModel]], given: frozenset[str], left: frozenset[str]
) -> tuple[ORMOption, ...]:
    return tuple(
        with_loader_criteria(
            model,
            _comparison(model, name)
            if parameter_of(model, name) in given
            else _Refusal(model, name),
            include_aliases=True,
        )
        for model in models
        for name in rules_of(model)
        if name not in left
    )


def _comparison(model: type[SQLModel], name: str) -> ColumnElement[bool]:
    column = getattr(model, rules_of(model)[name])
    condition: ColumnElement[bool] = column == bindparam(
        parameter_of(model, name), type_=column.type
    )
    return condition


def _condition(model: type[SQLModel], name: str, value: Any) -> ColumnElement[bool]:
    if value is None:
        return _Refusal(model, name)
    condition: ColumnElement[bool] = getattr(model, rules_of(model)[name]) == value
    return condition


def _fitting(model: type[SQLModel], attribute: str, parameter: str, value: Any) -> dict[str, Any]:
    try:
        return {parameter: typed(model, attribute, value)}
    except ValidationError:
        return {}


def _differs(model: type[SQLModel], attribute: str, value: Any, own: Any) -> bool:
    if value is None:
        return True
    try:
        return bool(typed(model, attribute, value) != own)
    except ValidationError:
        return True


def _moved(model: type[SQLModel], attribute: str) -> InvalidValue:
    return InvalidValue(
        f"{attribute} of {model.__name__} is not what this unit of work is limited to.",
        hint=f"Leave {attribute} out: the scope sets it.",
        fields=[attribute],
        model=model.__name__,
    )


def _missing(model: type[SQLModel], name: str, *, given: bool = False) -> ConfigError:
    if given:
        return ConfigError(
            f"The scope's {name} does not fit {model.__name__}.{rules_of(model)[name]}.",
            hint="Give the value in the type of that field.",
        )
    return ConfigError(
        f"{model.__name__} is limited by {name}, and this unit of work has no {name} that fits.",
        hint=f'Open it with scope={{"{name}": ...}}, or leave it with '
        f'scope=Scope(leaving=["{name}"]).',
    )


class _Refusal(FunctionElement[bool]):
    """Stands where a condition has no value: a statement with it cannot be compiled."""

    inherit_cache = True

    def __init__(self, model: type[SQLModel], name: str) -> None:
        super().__init__()
        self.type = Boolean()
        self.model = model
        self.name = name


@compiles(_Refusal)
def _refuse(element: _Refusal, compiler: SQLCompiler, **options: Any) -> str:
    raise _missing(element.model, element.name)
