"""Who listens to sessions, beside ourselves."""

from typing import TYPE_CHECKING, Any

from .guarded import GuardedSession

if TYPE_CHECKING:
    from .asynchronous import AsyncSession

# A session that does nothing: it shows which listeners all sessions have.
_ANY_SESSION: Any = GuardedSession()
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
