"""The session: nothing is loaded behind your back, what is out of scope is not there. Ring 3.

One task at a time uses it, and what waits for its commit runs when the commit is durable. Start at
`AsyncSession`.
"""

import asyncio
import logging
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from inspect import isawaitable
from typing import Any

import sqlmodel
from sqlalchemy import ColumnElement, event, inspect, select, true, tuple_
from sqlalchemy.ext.asyncio import AsyncSessionTransaction
from sqlalchemy.orm import ORMExecuteState, SessionTransaction, with_loader_criteria
from sqlalchemy.orm.base import PassiveFlag
from sqlmodel.ext.asyncio.session import AsyncSession as SQLModelAsyncSession

from .callers import here, waiting_at
from .cancellation import whole
from .drivers import is_unanswered, translate
from .errors import CommitUnknown, ConfigError, NotFound, NotLoaded
from .filters import MAX_ITEMS
from .models import SoftDelete
from .scopes import (
    UNSET,
    Reference,
    Scope,
    added_relatives,
    changes,
    keep_new,
    known,
    limit,
    referring,
    scoped_models,
    unkept,
)

AfterCommit = Callable[[], Awaitable[object] | object]
"""Called without arguments when a commit is durable; what it returns is awaited if it can be."""

UNKNOWN = "Look whether it is stored before doing it again."
"""What to do about `CommitUnknown`."""

_LOG = logging.getLogger("sqlmodelkit.transactions")

INCLUDE_DELETED = "include_deleted"
"""Execution option of a statement that shall also see soft-deleted rows."""
_EVERYTHING = {INCLUDE_DELETED: True}


def _live(model: type[Any]) -> ColumnElement[bool]:
    # SQLAlchemy also asks for the mixin itself, which is no table and has no column.
    column = getattr(model, "deleted_at", None)
    return true() if column is None else column.is_(None)


ONLY_LIVE = with_loader_criteria(
    SoftDelete, _live, include_aliases=True, track_closure_variables=False
)


def _by_one(method: Callable[..., Any]) -> Any:
    """Let a method of SQLAlchemy's session be used by one task at a time."""

    def used(self: "_Session", *arguments: Any, **options: Any) -> Any:
        first = self.enter()
        try:
            return method(self, *arguments, **options)
        finally:
            if first:
                self.leave()

    return used


class _Session(sqlmodel.Session):
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
            held = self.execute(statement.execution_options(**_EVERYTHING)).first() is not None
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
            seen = self.execute(found.distinct().execution_options(**_EVERYTHING)).all()
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


@event.listens_for(_Session, "do_orm_execute")
def _guard(state: ORMExecuteState) -> None:
    session = state.session
    if state.is_select and isinstance(session, _Session) and not session.asked:
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
    limit(state, session.scope if isinstance(session, _Session) else UNSET)


def _refuse_rows(state: ORMExecuteState) -> None:
    """Refuse rows to update by their keys, to which no condition can be added."""
    for mapper in state.all_mappers:
        if issubclass(mapper.class_, SoftDelete):
            raise unkept(mapper.class_.__name__, "a list of rows to update")


@event.listens_for(_Session, "after_soft_rollback")
def _forget(session: Any, undone: SessionTransaction) -> None:
    session.waiting[:] = [
        (place, hook) for place, hook in session.waiting if undone not in _and_outer(place)
    ]


def _and_outer(place: SessionTransaction | None) -> Iterator[SessionTransaction]:
    while place is not None:
        yield place
        place = place.parent


# A session that does nothing: it shows which listeners all sessions have.
_ANY_SESSION: Any = _Session()
_OWN_GUARDS = 1
_OVERSEERS = (
    "before_flush", "after_flush", "after_flush_postexec", "after_begin", "before_commit",
    "after_commit", "after_rollback", "after_transaction_create", "after_transaction_end",
    "before_attach", "after_attach", "transient_to_pending", "pending_to_persistent",
)  # fmt: skip
_OWN_ROLLBACK_LISTENERS = 1


def overseen(session: "AsyncSession | None") -> bool:
    """Tell whether an application listens to a session, or to all: then everything needs one."""
    if any(_ANYBODY if session is None else _overseers(session.sync_session)):
        return True
    return narrowed(session) or _hears_of_rollbacks(session)


def _hears_of_rollbacks(session: "AsyncSession | None") -> bool:
    dispatch: Any = (_ANY_SESSION if session is None else session.sync_session).dispatch
    return len(dispatch.after_soft_rollback) > _OWN_ROLLBACK_LISTENERS


def narrowed(session: "AsyncSession | None") -> bool:
    """Tell whether an application has a say in the statements of a session, or of all."""
    dispatch: Any = (_ANY_SESSION if session is None else session.sync_session).dispatch
    return len(dispatch.do_orm_execute) > _OWN_GUARDS


def _overseers(session: Any) -> list[Any]:
    return [getattr(session.dispatch, name) for name in _OVERSEERS]


# Nobody listens to this very session, so that these stay what they are and show all others.
_ANYBODY = _overseers(_ANY_SESSION)


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


class _Translating:
    """A block that is entered for every statement, and so is no generator."""

    __slots__ = ()

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception):
            ours = translate(error)
            if ours is not None and ours is not error:
                raise ours from error


_TRANSLATING = _Translating()


def translating() -> AbstractContextManager[None]:
    """Turn database errors that leave the block into sqlmodelkit's, chained to the original.

    Raises:
        SQLModelKitError: In place of an SQLAlchemy error that `drivers.translate` knows.
    """
    return _TRANSLATING


class AsyncSession(SQLModelAsyncSession):
    """SQLModel's `AsyncSession` that never loads lazily and shows only what is in scope.

    Two tasks that use it at once are refused: a session is one transaction, and what one of them
    rolls back would be lost for the other.
    """

    sync_session_class = _Session
    sync_session: _Session  # pyright: ignore[reportIncompatibleVariableOverride] - always is one

    def __init__(self, *arguments: Any, scope: Scope = UNSET, **options: Any) -> None:
        """Open a session as SQLAlchemy does, limited to a scope.

        Args:
            arguments: As SQLAlchemy's.
            scope: What it sees and writes of tables with rules.
            options: As SQLAlchemy's.
        """
        super().__init__(*arguments, **options)
        self.sync_session.scope = scope

    @property
    def scope(self) -> Scope:
        """What this session sees and writes of tables with rules."""
        return self.sync_session.scope

    def enter(self, scope: Scope | Mapping[str, Any]) -> None:
        """Limit the session further: a value can be added, and none exchanged.

        Raises:
            ConfigError: It has another value for a rule.
        """
        self.sync_session.scope = self.scope.joined(Scope.of(scope))

    async def check_references(self, model: type[Any], rows: Sequence[Mapping[str, Any]]) -> None:
        """Refuse rows whose foreign keys lead out of scope, before they are written.

        What the session flushes is checked by itself; this is for statements made by hand.

        Args:
            model: The table model.
            rows: Values by attribute.

        Raises:
            ForeignKeyViolation: One does, as if the row that it refers to were missing.
        """
        if rows and self.scope.references(model):
            await self.run_sync(lambda session: self.sync_session.check_references(model, rows))

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Run a block that can be undone by itself: when it raises, only its changes are lost.

        Raises:
            SQLModelKitError: A statement of the block, or its flush, was refused.
        """
        with translating():
            async with self.begin_nested():
                yield

    def after_commit(self, hook: AfterCommit) -> None:
        """Call a function when what was done so far is durable.

        Functions are called in the order given, after the COMMIT and with the connection given
        back, in the task that commits. They are forgotten when their transaction, or the savepoint
        in which they were given, is rolled back. An exception in one of them is logged and neither
        keeps the others from running nor makes the commit look failed. A process that dies between
        the commit and the call never calls it.

        Args:
            hook: A function without arguments; when it returns something to await, that is awaited.
        """
        session = self.sync_session
        if not session.in_transaction():
            session.begin()
        session.waiting.append(
            (session.get_nested_transaction() or session.get_transaction(), hook)
        )

    async def commit(self) -> None:
        """Make durable what was done, and then call what waits for it.

        A task that is cancelled meanwhile ends when all of it is done.

        Raises:
            CommitUnknown: The connection was lost before the database answered.
        """
        # What has to be written first may be cancelled: nothing of it is stored yet.
        session = self.sync_session
        if session.new or session.dirty or session.deleted:
            await self.flush()
        await whole(self._commit())

    async def _commit(self) -> None:
        await super().commit()
        session = self.sync_session
        if session.due:
            due, session.due = session.due, []
            for hook in due:
                await _call(hook)

    async def rollback(self) -> None:
        """Undo what was not committed, and give the connection back."""
        await whole(super().rollback())

    def begin(self) -> AsyncSessionTransaction:
        """Begin a transaction that ends with a block: `async with session.begin():`."""
        return _Begun(self)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep other tasks from using the session while the block runs.

        Raises:
            ConfigError: Another task is in the middle of using it.
        """
        first = self.sync_session.enter()
        try:
            yield
        finally:
            if first:
                self.sync_session.leave()

    async def close(self) -> None:
        """Roll back what was not committed, and give the connection back."""
        session = self.sync_session
        before, session.ended = session.ended, True
        try:
            while session.user is not None and session.user is not asyncio.current_task():
                # A task that was not waited for is still asking: till then the connection is its.
                session.left = asyncio.get_running_loop().create_future()
                await session.left
            await super().close()
        finally:
            session.ended = before
            session.waiting.clear()

    async def end(self) -> None:
        """Close the session for good: who uses it later is told so."""
        session = self.sync_session
        session.ended = True
        if session.in_transaction() or session.user is not None:
            await whole(self.close())
        else:
            # There is nothing to wait for.
            await self.close()


class _Begun(AsyncSessionTransaction):
    """A transaction of `AsyncSession.begin`: committed as by the session, with all that follows."""

    async def commit(self) -> None:
        await self.session.commit()

    async def __aexit__(self, type_: Any, value: Any, traceback: Any) -> None:  # noqa: PYI036 - as SQLAlchemy's
        transaction = self.sync_transaction
        if type_ is None and transaction is not None and transaction.is_active:
            try:
                await self.session.commit()
            except BaseException as error:
                await super().__aexit__(type(error), error, error.__traceback__)
                raise
        await super().__aexit__(type_, value, traceback)


async def _call(hook: AfterCommit) -> None:
    try:
        result = hook()
        if isawaitable(result):
            await result
    except Exception:  # noqa: BLE001
        # The commit has been made: an error here must not be taken for its failure.
        _LOG.exception("A function that was to run after a commit failed: %r", hook)


def _clash(first: asyncio.Task[Any]) -> ConfigError:
    return ConfigError(
        f"Two tasks use one session at once: {waiting_at(first)}, and {here()}.",
        hint="Await one after the other, or open a unit of work for each.",
    )
