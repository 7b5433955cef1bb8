"""The synchronous half of a session, where SQLAlchemy's events are: what it refuses, and to whom."""

import asyncio
from collections.abc import (
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import contextmanager
from typing import Any

import sqlmodel
from sqlalchemy import event, inspect, select, tuple_
from sqlalchemy.orm import ORMExecuteState, SessionTransaction
from sqlalchemy.orm.base import PassiveFlag

from sqlmodelkit.callers import here, waiting_at
from sqlmodelkit.drivers import is_unanswered
from sqlmodelkit.errors import CommitUnknown, ConfigError, NotFound, NotLoaded
from sqlmodelkit.filters import MAX_ITEMS
from sqlmodelkit.models import SoftDelete
from sqlmodelkit.scopes import (
    UNSET,
    Reference,
    added_relatives,
    changes,
    keep_new,
    known,
    limit,
    referring,
    scoped_models,
    unkept,
)

from .live import EVERYTHING, INCLUDE_DELETED, ONLY_LIVE

AfterCommit = Callable[[], Awaitable[object] | object]
"""Called without arguments when a commit is durable; what it returns is awaited if it can be."""

UNKNOWN = "Look whether it is stored before doing it again."
"""What to do about `CommitUnknown`."""


def _by_one(method: Callable[..., Any]) -> Any:
    """Let a method of SQLAlchemy's session be used by one task at a time."""

    def used(self: "GuardedSession", *arguments: Any, **options: Any) -> Any:
        first = self.enter()
        try:
            return method(self, *arguments, **options)
        finally:
            if first:
                self.leave()

    return used


class GuardedSession(sqlmodel.Session):
    """The synchronous half, where SQLAlchemy's events are."""

    asked = 0
    scope = UNSET
    ended = False
    user: asyncio.Task[Any] | None = None
    left: asyncio.Future[None] | None = None

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.waiting: list[tuple[SessionTransaction | None, AfterCommit]] = []
        self.due: list[AfterCommit] = []

    exec = _by_one(sqlmodel.Session.exec)
    execute = _by_one(sqlmodel.Session.execute)
    scalar = _by_one(sqlmodel.Session.scalar)
    scalars = _by_one(sqlmodel.Session.scalars)
    connection = _by_one(sqlmodel.Session.connection)
    rollback = _by_one(sqlmodel.Session.rollback)

    def enter(self) -> bool:
        """Begin to use the session; answer whether the task was not in the middle of it already.

        Raises:
            ConfigError: Another task is in the middle of it, or its unit of work has ended.
        """
        if self.ended:
            raise ConfigError(
                "The session is used after its unit of work has ended.",
                hint="Open another one with db.transaction() or db.session().",
            )
        task = asyncio.current_task()
        if self.user is None:
            self.user = task
            return True
        if self.user is not task:
            raise _clash(self.user)
        return False

    def leave(self) -> None:
        """End a use of the session."""
        self.user = None
        if self.left is not None and not self.left.done():
            self.left.set_result(None)

    def commit(self) -> None:
        first = self.enter()
        sent = False
        try:
            # What is refused or lost before the COMMIT is certainly not stored.
            self.flush()
            committed = self.get_transaction()
            sent = True
            super().commit()
            self.due += [hook for place, hook in self.waiting if committed in [*_and_outer(place)]]
        except Exception as error:
            if sent and is_unanswered(error):
                raise CommitUnknown(hint=UNKNOWN) from error
            raise
        finally:
            self.waiting.clear()
            if first:
                self.leave()

    @contextmanager
    def _asking(self) -> Iterator[None]:
        self.asked += 1
        try:
            yield
        finally:
            self.asked -= 1

    def refresh(self, instance: Any, *arguments: Any, **options: Any) -> None:
        self._check_held(instance)
        with self._asking():
            super().refresh(instance, *arguments, **options)
        self._check_held(instance)

    def flush(self, *arguments: Any, **options: Any) -> None:
        first = self.enter()
        try:
            with self._asking():
                if scoped_models():
                    with self.no_autoflush:
                        self._keep_in_scope()
                super().flush(*arguments, **options)
        finally:
            if first:
                self.leave()

    def _keep_in_scope(self) -> None:
        """Give new rows what the scope sets, and refuse to write what is out of it."""
        new, deleted = list(self.new), list(self.deleted)
        changed = [row for row in self.dirty if self.is_modified(row)]
        for row in new:
            keep_new(self.scope, row)
        for row in (*changed, *deleted):
            self._check_held(row)
        written: dict[type[Any], list[Any]] = {}
        for row in (*new, *changed):
            if row not in new:
                self.scope.check_update(type(row), changes(row))
            for relative in added_relatives(row):
                self._check_held(relative)
            written.setdefault(type(row), []).append(row)
        for model, rows in written.items():
            for reference in self.scope.references(model):
                self._check_reference(reference, [referring(row, reference) for row in rows])

    def _check_held(self, row: Any) -> None:
        """Refuse a row that is not in scope, as if it were not there.

        Raises:
            NotFound: It is not.
        """
        model = type(row)
        if not self.scope.limits(model) or not inspect(row).has_identity:
            return
        values = known(row)
        if values is None:
            # Not all was loaded: the database knows.
            mapper, key = inspect(model), inspect(row).identity or ()
            matches = (part == value for part, value in zip(mapper.primary_key, key, strict=True))
            statement = select(model).where(*matches).with_only_columns(mapper.primary_key[0])
            held = self.execute(statement.execution_options(**EVERYTHING)).first() is not None
        else:
            held = self.scope.holds(model, values)
        if not held:
            raise NotFound(f"There is no such {model.__name__}.", model=model.__name__)

    def check_references(self, model: type[Any], rows: Sequence[Mapping[str, Any]]) -> None:
        """Refuse values whose foreign keys lead to rows out of scope; see `AsyncSession`."""
        with self.no_autoflush:
            for reference in self.scope.references(model):
                self._check_reference(reference, rows)

    def _check_reference(self, reference: Reference, rows: Iterable[Mapping[str, Any]]) -> None:
        pending = (row.__dict__ for row in self.new if isinstance(row, reference.parent))
        written = {tuple(row.get(name) for name in reference.targets) for row in pending}
        keys = [key for key in reference.keys(rows) if key not in written]
        columns = [getattr(reference.parent, name) for name in reference.targets]
        for start in range(0, len(keys), MAX_ITEMS):
            part = keys[start : start + MAX_ITEMS]
            found = select(*columns).where(
                columns[0].in_([key[0] for key in part])
                if len(columns) == 1
                else tuple_(*columns).in_(part)
            )
            # Whether a row may refer to a deleted one is not a question of whose it is.
            seen = self.execute(found.distinct().execution_options(**EVERYTHING)).all()
            if len(seen) < len(part):
                raise reference.refused()

    def bulk_save_objects(self, objects: Iterable[object], *arguments: Any, **options: Any) -> None:
        given = list(objects)
        for model in {type(row) for row in given}:
            self._refuse_bulk(model)
        super().bulk_save_objects(given, *arguments, **options)

    def bulk_insert_mappings(self, mapper: Any, *arguments: Any, **options: Any) -> None:
        self._refuse_bulk(inspect(mapper).mapper.class_)
        super().bulk_insert_mappings(mapper, *arguments, **options)

    def bulk_update_mappings(self, mapper: Any, mappings: Any) -> None:
        self._refuse_bulk(inspect(mapper).mapper.class_)
        super().bulk_update_mappings(mapper, mappings)

    def _refuse_bulk(self, model: type[Any]) -> None:
        if self.scope.limits(model):
            raise unkept(model.__name__, "SQLAlchemy's bulk methods")

    def _identity_lookup(self, *arguments: Any, **options: Any) -> Any:
        # Made for subclasses, though its name is not public. A relation that was not loaded is
        # refused also when its row happens to be here: otherwise the same code would work in one
        # place and fail in another, by what was read before.
        relation = options.get("lazy_loaded_from") is not None
        if (
            relation
            and not self.asked
            and options.get("passive", PassiveFlag.SQL_OK) & PassiveFlag.SQL_OK
        ):
            return None
        found: Any = super()._identity_lookup(*arguments, **options)
        model = type(found)
        if self.scope.limits(model) and not self.scope.holds(model, found.__dict__):
            # It came here by hand: whoever asks for it gets what the database has in scope.
            return None
        if isinstance(found, SoftDelete) and found.__dict__.get("deleted_at", found) is not None:
            # Deleted, or perhaps: the database answers whoever has not asked for it by name.
            return None
        return found


@event.listens_for(GuardedSession, "do_orm_execute")
def _guard(state: ORMExecuteState) -> None:
    session = state.session
    if state.is_select and isinstance(session, GuardedSession) and not session.asked:
        owner = state.lazy_loaded_from
        if owner is not None:
            path = state.loader_strategy_path
            field = getattr(path[-1], "key", None) if path else None
            raise _not_loaded(owner.class_.__name__, field)
        if state.is_column_load:
            mapper = state.bind_mapper
            # No public name tells which columns are asked for; without it the error is less exact.
            options = getattr(state.statement, "_compile_options", None)
            names = sorted(getattr(options, "_only_load_props", None) or ())
            raise _expired(mapper.class_.__name__ if mapper else None, names)
    if state.is_orm_statement and not state.execution_options.get(INCLUDE_DELETED):
        if state.is_update and state.is_executemany:
            _refuse_rows(state)
        state.statement = state.statement.options(ONLY_LIVE)
    # Somebody else's session has no scope of ours.
    limit(state, session.scope if isinstance(session, GuardedSession) else UNSET)


def _refuse_rows(state: ORMExecuteState) -> None:
    """Refuse rows to update by their keys, to which no condition can be added."""
    for mapper in state.all_mappers:
        if issubclass(mapper.class_, SoftDelete):
            raise unkept(mapper.class_.__name__, "a list of rows to update")


@event.listens_for(GuardedSession, "after_soft_rollback")
def _forget(session: Any, undone: SessionTransaction) -> None:
    session.waiting[:] = [
        (place, hook) for place, hook in session.waiting if undone not in _and_outer(place)
    ]


def _and_outer(place: SessionTransaction | None) -> Iterator[SessionTransaction]:
    while place is not None:
        yield place
        place = place.parent


def _not_loaded(model: str, field: str | None) -> NotLoaded:
    return NotLoaded(
        f"{model}.{field} is not loaded.",
        hint=f'Read the row with load=["{field}"], or with into= a response model that has it.',
        model=model,
        field=field,
    )


def _expired(model: str | None, names: Sequence[str]) -> NotLoaded:
    field = names[0] if len(names) == 1 else None
    return NotLoaded(
        f"{model}.{field} is not loaded." if field else f"A column of this {model} is not loaded.",
        hint=f"Call `await session.refresh(row{f', {list(names)}' if field else ''})`.",
        model=model,
        field=field,
    )


def _clash(first: asyncio.Task[Any]) -> ConfigError:
    return ConfigError(
        f"Two tasks use one session at once: {waiting_at(first)}, and {here()}.",
        hint="Await one after the other, or open a unit of work for each.",
    )
