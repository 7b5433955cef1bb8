"""Who is measured. Each contender is a small FastAPI application in a file of its own."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from benchmarks.endpoints import MIN_AGE, Endpoint

Engine = Literal["postgresql", "sqlite"]
Kind = Literal["ours", "style", "peer", "hand-written"]

TRACED = "benchmarks.contenders.traced"
"""The module that serves a contender on SQLite and counts its statements."""

COUNT_PATH = "/statements-so-far"
"""Where it answers how many there were."""

_FILTERED = f"/heroes?age__gte={MIN_AGE}&sort=-age,name"


@dataclass(frozen=True)
class Contender:
    """An application to measure.

    Attributes:
        name: How it is chosen on the command line; its module has the same name.
        title: How it is called in the report.
        paths: Where its own router has an endpoint at another place than the others.
        envelopes: The keys its own router puts rows under, where others answer a plain list.
        distributions: The packages whose versions the report names.
    """

    name: str
    title: str
    kind: Kind
    engines: tuple[Engine, ...] = ("postgresql", "sqlite")
    paths: Mapping[str, str] = field(default_factory=dict)
    envelopes: Mapping[str, str] = field(default_factory=dict)
    distributions: tuple[str, ...] = ()

    @property
    def module(self) -> str:
        """Return the module that has the application as `app`."""
        return f"benchmarks.contenders.{self.name}"

    def path(self, endpoint: Endpoint) -> str:
        """Return the path of an endpoint, with `{key}` where a key belongs."""
        return self.paths.get(endpoint.name, endpoint.path)


CONTENDERS = (
    Contender(
        "sqlmodelkit_routers",
        "sqlmodelkit, `crud_router`",
        "ours",
        paths={"E2": "/flat-heroes?limit=100", "E6": f"{_FILTERED}&limit=50&offset=100"},
        envelopes={"E2": "items", "E3": "items", "E4": "items"},
        distributions=("sqlmodelkit",),
    ),
    Contender("sqlmodelkit_endpoints", "sqlmodelkit, own endpoints", "ours"),
    Contender("sqlmodelkit_sparing", "sqlmodelkit, sparing the application", "ours"),
    Contender("sqlmodel_docs", "SQLModel docs style, async", "style", distributions=("sqlmodel",)),
    Contender(
        "fastcrud_app",
        "FastCRUD",
        "peer",
        paths={"E2": "/flat-heroes?limit=100", "E6": f"{_FILTERED}&page=3&itemsPerPage=50"},
        distributions=("fastcrud",),
    ),
    Contender(
        "advanced_alchemy_app",
        "Advanced Alchemy",
        "peer",
        distributions=("advanced-alchemy",),
    ),
    Contender(
        "asyncpg_rows",
        "by hand: asyncpg rows, orjson",
        "hand-written",
        engines=("postgresql",),
        distributions=("asyncpg", "orjson"),
    ),
    Contender(
        "asyncpg_json",
        "by hand: asyncpg, JSON by PostgreSQL",
        "hand-written",
        engines=("postgresql",),
    ),
    Contender(
        "aiosqlite_rows",
        "by hand: aiosqlite rows, orjson",
        "hand-written",
        engines=("sqlite",),
        distributions=("aiosqlite",),
    ),
)
