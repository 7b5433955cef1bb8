"""The session: nothing is loaded behind your back, deleted rows are out of scope. Ring 3.

Start at `AsyncSession`.
"""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import sqlmodel
from sqlalchemy import ColumnElement, event, true
from sqlalchemy.orm import ORMExecuteState, with_loader_criteria
from sqlalchemy.orm.base import PassiveFlag
from sqlmodel.ext.asyncio.session import AsyncSession as SQLModelAsyncSession

from .drivers import translate
from .errors import NotLoaded
from .models import SoftDelete

INCLUDE_DELETED = "include_deleted"
"""Execution option of a statement that shall also see soft-deleted rows."""


def _live(model: type[Any]) -> ColumnElement[bool]:
    # SQLAlchemy also asks for the mixin itself, which is no table and has no column.
    column = getattr(model, "deleted_at", None)
    return true() if column is None else column.is_(None)


ONLY_LIVE = with_loader_criteria(
    SoftDelete, _live, include_aliases=True, track_closure_variables=False
)


class _Session(sqlmodel.Session):
    """The synchronous half, where SQLAlchemy's events are."""

    asked = 0

    @contextmanager
    def _asking(self) -> Iterator[None]:
        self.asked += 1
        try:
            yield
        finally:
            self.asked -= 1

    def refresh(self, *arguments: Any, **options: Any) -> None:
        with self._asking():
            super().refresh(*arguments, **options)

    def flush(self, *arguments: Any, **options: Any) -> None:
        with self._asking():
            super().flush(*arguments, **options)

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
        return super()._identity_lookup(*arguments, **options)


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
        state.statement = state.statement.options(ONLY_LIVE)


# A session that does nothing: it shows which listeners all sessions have.
_ANY_SESSION: Any = _Session()
_OVERSEERS = (
    "before_flush", "after_flush", "after_flush_postexec", "after_begin", "before_commit",
    "after_commit", "after_rollback", "after_soft_rollback", "after_transaction_create",
    "after_transaction_end", "before_attach", "after_attach", "transient_to_pending",
    "pending_to_persistent",
)  # fmt: skip


def overseen(session: "AsyncSession | None") -> bool:
    """Tell whether an application listens to a session, or to all: then everything needs one."""
    dispatch = _dispatch(session)
    return narrowed(session) or any(getattr(dispatch, name) for name in _OVERSEERS)


def narrowed(session: "AsyncSession | None") -> bool:
    """Tell whether an application has a say in the statements of a session, or of all."""
    return any(listener is not _guard for listener in _dispatch(session).do_orm_execute)


def _dispatch(session: "AsyncSession | None") -> Any:
    return (_ANY_SESSION if session is None else session.sync_session).dispatch


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


@contextmanager
def translating() -> Iterator[None]:
    """Turn database errors that leave the block into sqlmodelkit's, chained to the original.

    Raises:
        SQLModelKitError: In place of an SQLAlchemy error that `drivers.translate` knows.
    """
    try:
        yield
    except Exception as error:
        ours = translate(error)
        if ours is None or ours is error:
            raise
        raise ours from error


class AsyncSession(SQLModelAsyncSession):
    """SQLModel's `AsyncSession` that never loads lazily and keeps deleted rows out of scope."""

    sync_session_class = _Session

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Run a block that can be undone by itself: when it raises, only its changes are lost.

        Raises:
            SQLModelKitError: A statement of the block, or its flush, was refused.
        """
        with translating():
            async with self.begin_nested():
                yield
