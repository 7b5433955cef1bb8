"""Connections in the pool: which are alive, which are of no use, and the end of all of them."""

import asyncio
from time import monotonic
from typing import Any

from sqlalchemy import Dialect, Engine
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import PoolProxiedConnection
from sqlalchemy.util import greenlet_spawn

from sqlmodelkit.cancellation import whole
from sqlmodelkit.engines import EngineOptions

LIVENESS = "sqlmodelkit_liveness"
"""Execution option of an engine: what is known of its connections, a `Liveness`."""

_ALIVE_SECONDS = 0.5
_OUT_SECONDS = 1.0
_OUT, _USED, CLEAN = "sqlmodelkit_out", "sqlmodelkit_used", "sqlmodelkit_clean"
_ERA = "sqlmodelkit_era"
_UNTESTED = "sqlmodelkit_untested"


class _MustWait(Exception):
    """No connection can be had at once."""


class Liveness:
    """Tests pooled connections before they are used, and not more often than needed.

    A connection that was in use just now is taken for alive, as in HikariCP (its
    `aliveBypassWindowMs`): asking costs as much as reading a row. One whose socket is known to be
    closed is not, and after a loss each connection is asked once.
    """

    def __init__(self, options: EngineOptions) -> None:
        self._dialect: Dialect | None = None
        self._ping = options.ping
        self._doubted = 0.0
        self._at_once: asyncio.Task[Any] | None = None
        self._era = 0
        self._open: set[int] = set()
        self._resting: list[PoolProxiedConnection] = []
        self.arriving: set[asyncio.Future[Any]] = set()
        self.direct = options.direct
        self.begins = options.explicit_begin

    def bind(self, dialect: Dialect) -> None:
        """Take the dialect that knows how to ask."""
        self._dialect = dialect

    def take(self, engine: Engine) -> PoolProxiedConnection | None:
        """Check out a connection that can be used at once; None when that takes any waiting.

        What waits has to run in a greenlet, and a new greenlet for each statement costs more than
        all else that a checkout does: Python gives it a stack of its own.
        """
        pool: Any = engine.pool
        if self._resting and (rested := self._rested(engine)) is not None:
            return rested
        if not pool.checkedin() or not self.quiet(pool):
            return None
        held = self._idle(engine)
        if held is not None and _UNTESTED in held.info:
            self.untouched(held)
            held.close()
            return None
        return held

    def _rested(self, engine: Engine) -> PoolProxiedConnection | None:
        held = self._resting.pop()
        if self.quiet(engine.pool) and not self.dead(held) and self._is_known(held):
            return held
        self._return(engine, held)
        return None

    def leave(self, engine: Engine, held: PoolProxiedConnection) -> bool:
        """Let a connection rest until the event loop's next turn; False when it cannot.

        Whoever comes in this turn takes it without the pool, whose checkout and return are dear
        beside the reading of one row. Now and then it goes back all the same, for the pool has
        connections made anew when they are old.
        """
        pool: Any = engine.pool
        idle = pool.checkedin()
        # Those who ask the pool shall find one, and what rests has to find room. Whether somebody
        # listens to the pool is asked when it is taken, or goes back.
        if not 0 < idle < pool.size() - len(self._resting):
            return False
        now = monotonic()
        known = self.kept(held) and self._tells(held.driver_connection)
        if not known or now - held.info[_OUT] > _OUT_SECONDS:
            return False
        held.info[_USED] = now
        self._resting.append(held)
        asyncio.get_running_loop().call_soon(self._wake, engine, held)
        return True

    def _wake(self, engine: Engine, held: PoolProxiedConnection) -> None:
        if held in self._resting:
            self._resting.remove(held)
            self._return(engine, held)

    def _return(self, engine: Engine, held: PoolProxiedConnection) -> None:
        self.untouched(held)
        if self._has_place(engine, held):
            held.close()
            return
        # Sessions have filled the pool, which closes it; `retire` waits for that.
        leaving = asyncio.ensure_future(greenlet_spawn(held.close))
        self.arriving.add(leaving)
        leaving.add_done_callback(self.arriving.discard)

    async def give_back(self, engine: Engine, held: PoolProxiedConnection) -> None:
        """Give a connection back to the pool, without a greenlet where nobody has to wait."""
        pool: Any = engine.pool
        if pool.checkedin() + len(self._resting) >= pool.size():
            self._wake_all(engine)
        self.untouched(held)
        if self._has_place(engine, held):
            held.close()
        else:
            # A full pool closes the connection, which takes an answer of the server.
            await whole(greenlet_spawn(held.close))

    def _wake_all(self, engine: Engine) -> None:
        for held in tuple(self._resting):
            self._wake(engine, held)

    def _has_place(self, engine: Engine, held: PoolProxiedConnection) -> bool:
        pool: Any = engine.pool
        return pool.checkedin() < pool.size() and self.kept(held) and self.quiet(pool)

    def _idle(self, engine: Engine) -> PoolProxiedConnection | None:
        self._at_once = asyncio.current_task()
        try:
            return engine.raw_connection()
        except _MustWait:
            return None
        finally:
            self._at_once = None

    def quiet(self, pool: Any) -> bool:
        """Tell whether nobody else listens to a pool, who might have to wait for something."""
        heard = pool.dispatch
        return len(heard.checkout) == len(heard.checkin) == len(heard.reset) == 1

    def connecting(self, *arguments: Any) -> None:
        """Make no new connection for somebody who cannot wait for it."""
        if self._is_at_once():
            raise _MustWait

    def _is_at_once(self) -> bool:
        return self._at_once is not None and self._at_once is asyncio.current_task()

    def check(self, connection: Any, record: Any, proxy: Any) -> None:
        """Refuse a dead connection as the pool hands it out, so that it makes another."""
        record.info[_OUT] = monotonic()
        if not self._ping or self._dialect is None:
            return
        driver = connection.driver_connection
        if _closed(driver):
            raise InvalidatePoolError
        used = record.info.get(_USED)
        if used is None or (self._tells(driver) and self._trusted(used)):
            return
        if self._is_at_once():
            record.info[_UNTESTED] = True
            return
        try:
            self._dialect.do_ping(connection)
        except Exception as error:
            raise InvalidatePoolError from error

    def _is_known(self, held: PoolProxiedConnection) -> bool:
        return not self._ping or self._trusted(held.info[_USED])

    def _tells(self, driver: Any) -> bool:
        """Tell whether a driver notices a closed connection, or nobody asks it to."""
        return not self._ping or hasattr(driver, "is_closed")

    def _trusted(self, used: float) -> bool:
        return used > self._doubted and monotonic() - used < _ALIVE_SECONDS

    def made(self, connection: Any, record: Any) -> None:
        """Note that a connection is open, and since when."""
        self._open.add(id(connection))
        record.info[_ERA] = self._era

    def gone(self, connection: Any) -> None:
        """Note that a connection is closed."""
        self._open.discard(id(connection))

    @property
    def open(self) -> int:
        """How many connections there are."""
        return len(self._open)

    @property
    def resting(self) -> int:
        """How many connections nobody uses, and the pool will have in a moment."""
        return len(self._resting)

    def kept(self, held: PoolProxiedConnection) -> bool:
        """Tell whether the pool keeps a connection that is given back, if it has room."""
        return held.info.get(_ERA) == self._era

    async def retire(self, engine: Engine) -> None:
        """Close what nobody uses; what is in use is closed when it is given back.

        SQLAlchemy's `dispose` leaves those to a pool that nobody has any more, where they stay
        open. It is called when there are none.
        """
        self._wake_all(engine)
        self._era += 1
        pool: Any = engine.pool
        for _ in range(pool.checkedin()):
            await whole(greenlet_spawn(self._close_idle, engine))
        if self.arriving:
            await asyncio.wait(self.arriving)
        self.renew(engine)

    def _close_idle(self, engine: Engine) -> None:
        pool: Any = engine.pool
        held = self._idle(engine) if pool.checkedin() else None
        if held is not None:
            held.invalidate()

    def renew(self, engine: Engine) -> None:
        """Have a new pool where the old one has no connections: it may be for another loop."""
        pool: Any = engine.pool
        if not self.open and not pool.checkedout():
            engine.dispose(close=False)

    def returned(self, connection: Any, record: Any) -> None:
        """Note when a connection was used last, and close it when its time is over."""
        if connection is not None and record.info.get(_ERA) != self._era:
            record.close()
            return
        if not record.info.pop(_UNTESTED, False):
            record.info[_USED] = monotonic()

    def doubt(self) -> None:
        """Ask every connection that has been used before now."""
        self._doubted = monotonic()

    def untouched(self, held: PoolProxiedConnection) -> None:
        """Note that a connection has no transaction to be rolled back."""
        held.info[CLEAN] = True

    def dead(self, held: PoolProxiedConnection | None) -> bool:
        """Tell whether a connection is known to be of no use."""
        return held is None or _closed(held.driver_connection)


def liveness_of(engine: AsyncEngine) -> Liveness:
    """Return what is known of the connections of an engine that `create_engine` has made."""
    liveness: Liveness = engine.get_execution_options()[LIVENESS]
    return liveness


def _closed(driver: Any) -> bool:
    closed = getattr(driver, "is_closed", None)
    return bool(closed()) if callable(closed) else False
