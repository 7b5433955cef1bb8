"""What a reading verb does in the database: its statements, and the database's own plan. Ring 6.

Start at `Explaining`.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from sqlalchemy import Dialect

from .statements import Compiled, compile_statement
from .units import UnitOfWork
from .wires import ConnectionWire, Rows, Statement, Wire

_EXPLAIN = {"postgresql": "EXPLAIN", "sqlite": "EXPLAIN QUERY PLAN"}
_ANALYZE = {
    "postgresql": "EXPLAIN (ANALYZE, BUFFERS)",
    "mariadb": "ANALYZE",
    "mysql": "EXPLAIN ANALYZE",
}


class Explaining(UnitOfWork):
    """A unit of work that asks for the plan of each statement before it runs it.

    Attributes:
        report: The statements with their plans, in the order they were sent.
    """

    def __init__(self, unit: UnitOfWork, *, analyze: bool) -> None:
        """Explain what happens in `unit`."""
        super().__init__(unit.engine, reading=True, scope=unit.scope)
        self._unit = unit
        self._analyze = analyze
        self.report: list[str] = []

    @asynccontextmanager
    async def wire(
        self,
        *,
        compiled: bool = True,
        writing: bool = False,
        last: bool = False,
        overseen: bool | None = None,
    ) -> AsyncIterator[Wire]:
        """Give a wire that reports."""
        told = self._unit.wire(compiled=compiled, writing=writing, last=last, overseen=overseen)
        async with told as wire:
            asker = wire
            if not wire.compiled:
                asker = ConnectionWire(await self._unit.session.connection())
            yield _ExplainingWire(wire, asker, self.report, analyze=self._analyze)


class _ExplainingWire:
    def __init__(self, wire: Wire, asker: Wire, report: list[str], *, analyze: bool) -> None:
        self._wire = wire
        self._asker = asker
        self._report = report
        self._analyze = analyze

    @property
    def dialect(self) -> Dialect:
        return self._wire.dialect

    @property
    def compiled(self) -> bool:
        return self._wire.compiled

    async def fetch(self, statement: Compiled | Statement, values: Mapping[str, Any]) -> Rows:
        sent = statement
        if not isinstance(sent, Compiled):
            sent = compile_statement(sent, self.dialect, ())
        asking = replace(sent, text=f"{self._verb()} {sent.text}", results=())
        rows = await self._asker.fetch(asking, values)
        self._report += [sent.text, *(f"  {_line(row)}" for row in rows), ""]
        return await self._wire.fetch(statement, values)

    def _verb(self) -> str:
        name = self.dialect.name
        if getattr(self.dialect, "is_mariadb", False):
            name = "mariadb"
        plain = _EXPLAIN.get(name, "EXPLAIN")
        return _ANALYZE.get(name, plain) if self._analyze else plain


def _line(row: Sequence[Any]) -> str:
    return " ".join(str(part) for part in row if part is not None)
