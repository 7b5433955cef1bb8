"""Generated models and data: every way to read must answer what FastAPI's ordinary one does.

Start at `examples` and `compare`. What is compared is drawn by `schemas`, `responses` and
`worlds`; the ordinary answer is worked out here without the plan.
"""

import math
import traceback
import warnings
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter
from sqlalchemy.ext.asyncio import AsyncSession

from sqlmodelkit import ConfigError, Database, ServiceBase, where
from tests.plan.ordinary import Answer, Models, Ordinary, fill, made, matching, ranks_of
from tests.plan.responses import Response, responses
from tests.plan.schemas import Schema, schemas
from tests.plan.worlds import Question, World, questions, worlds

AVOIDED: frozenset[str] = frozenset(
    {
        # A Decimal that is no number, which PostgreSQL can hold, is printed and not refused.
        "NaN"
    }
)
"""What is known to differ, to be emptied: ways to show something, methods and configurations by
their names in `responses`, and by names of its own what else is looked up here and there."""

SIZES: Mapping[str, tuple[int, int]] = {"sqlite": (4, 3), "postgresql": (4, 3), "mariadb": (6, 5)}
"""Response models, and sets of data, of an example on each engine: tables are slow on MariaDB."""


PER_RUN = 8
"""Examples of one run of Hypothesis: in a longer one most are small changes of those before."""


class Difference(AssertionError):
    """Two ways to read answer differently; the message holds all it takes to repeat it."""


@dataclass(frozen=True)
class Example:
    """Tables, response models over them, and for each set of data a question per response."""

    schema: Schema
    responses: tuple[Response, ...]
    worlds: tuple[tuple[World, tuple[Question, ...]], ...] = field(repr=False)


@st.composite
def examples(draw: st.DrawFn, engine: str) -> Example:
    """Draw one schema, some response models, and some sets of data."""
    schema = draw(schemas())
    shown = tuple(draw(responses(schema, f"R{n}", AVOIDED)) for n in range(SIZES[engine][0]))
    filled = []
    for _ in range(SIZES[engine][1]):
        world = draw(worlds(schema, engine, AVOIDED))
        asked = (questions(each.table, world[each.table.name], engine) for each in shown)
        filled.append((world, tuple(draw(question) for question in asked)))
    return Example(schema, shown, tuple(filled))


@dataclass(frozen=True)
class Ask:
    """A question to a service, and the keys of the rows that it is about."""

    service: ServiceBase[Any, Any, Any]
    into: type[BaseModel]
    question: Question
    keys: Sequence[Any]
    total: int
    options: Mapping[str, Any]

    def adapter(self) -> TypeAdapter[Any]:
        """Return the printer of a list of responses."""
        return TypeAdapter(list[self.into])  # type: ignore[name-defined]

    def arguments(self, *names: str) -> dict[str, Any]:
        """Return arguments of a reading verb."""
        chosen = {name: getattr(self.question, name) for name in names}
        return {**chosen, "into": self.into, **self.options}

    @property
    def filters(self) -> Iterator[Any]:
        """Return the filter, if there is one."""
        if self.question.compared:
            name, operator, value = self.question.compared
            yield where(**{f"{name}__{operator}": value})


async def _page_json(ask: Ask) -> bytes:
    arguments = ask.arguments("sort", "limit", "offset", "include_deleted")
    text = await ask.service.page_json(*ask.filters, **arguments)
    limit, offset = ask.question.limit, ask.question.offset
    head, tail = b'{"items":', b',"total":%d,"limit":%d,"offset":%d}' % (ask.total, limit, offset)
    if not (text.startswith(head) and text.endswith(tail)):
        return text
    return text.removeprefix(head).removesuffix(tail)


async def _page(ask: Ask) -> bytes:
    arguments = ask.arguments("sort", "limit", "offset", "include_deleted")
    page = await ask.service.page(*ask.filters, **arguments)
    return ask.adapter().dump_json(page.items, by_alias=True)


async def _all(ask: Ask) -> bytes:
    found = await ask.service.all(*ask.filters, **ask.arguments("sort", "limit", "include_deleted"))
    return ask.adapter().dump_json(found, by_alias=True)


async def _get_many(ask: Ask) -> bytes:
    found = await ask.service.get_many(ask.keys, **ask.arguments("include_deleted"))
    return ask.adapter().dump_json(found, by_alias=True)


async def _get_json(ask: Ask) -> bytes:
    (key,) = ask.keys
    return b"[%b]" % await ask.service.get_json(key, **ask.arguments("include_deleted"))


async def _get(ask: Ask) -> bytes:
    (key,) = ask.keys
    one = await ask.service.get(key, **ask.arguments("include_deleted"))
    return ask.adapter().dump_json([one], by_alias=True)


@dataclass(frozen=True)
class Way:
    """A way to read: the verb, which rows it reads, in what unit of work, and further options.

    `lone` is a unit that only reads, as a GET has, whose statements go straight to the driver;
    `spare` is set on the service, and says whose time is spared: which path is taken.
    """

    name: str
    read: Callable[[Ask], Awaitable[bytes]]
    reads: Literal["page", "first", "one"] = "page"
    lone: bool = False
    spare: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def parts(self, found: Sequence[Any], question: Question) -> list[Sequence[Any]]:
        """Return the keys that are read, for each time that it is called."""
        page = found[question.offset : question.offset + question.limit]
        match self.reads:
            case "page":
                return [page]
            case "first":
                return [found[: question.limit]]
            case "one":
                return [[key] for key in page[:2]]


WAYS = (
    Way("page_json", _page_json),
    Way("page_json alone", _page_json, lone=True),
    Way("page_json by the database", _page_json, lone=True, spare="application"),
    Way("page_json by rows", _page_json, lone=True, spare="database"),
    Way("page alone", _page, lone=True),
    Way("all", _all, "first"),
    Way("get_many", _get_many),
    Way("get_json", _get_json, "one"),
    Way("get_json alone", _get_json, "one", lone=True),
    Way("get_json by the database", _get_json, "one", spare="application"),
    Way("get alone", _get, "one", lone=True),
)
"""Every way to read; a path that is asked for by an option is one more line."""


@dataclass(frozen=True)
class _Case:
    """One response model and one set of data, with the ordinary answer to what is asked."""

    db: Database
    models: Models
    response: Response
    world: World

    async def compare(self, question: Question, *, ways: Sequence[Way] = WAYS) -> None:
        """Read in every way.

        Raises:
            Difference: A way answers otherwise, or answers what is refused.
        """
        table = self.response.table
        ordinary = Ordinary(self.response, self.models)
        async with AsyncSession(self.db.engine) as session:
            found = await matching(session, self.models, table, question)
            ranks = await ranks_of(session, self.models, self.models.schema)
            session.expunge_all()
            await ordinary.read(session, ranks, include_deleted=question.include_deleted)
        try:
            plan = self.models.service(table).plan(self.models.response(self.response))
        except ConfigError:
            # Fields that can never be found by their aliases are refused at start-up, also when
            # no row would have come to them.
            if "alias_generator=to_camel)" not in self.response.source:
                raise
            return
        unordered = self.response.unordered and plan.path == "objects"
        if unordered and "unordered objects" in AVOIDED:
            return
        for way in ways:
            for part in way.parts(found, question):
                await self._check(way, question, part, len(found), ordinary.answer(part))

    async def _check(
        self, way: Way, question: Question, keys: Sequence[Any], total: int, expected: Answer
    ) -> None:
        into = self.models.response(self.response)
        service = self.models.service(self.response.table)
        got: Answer
        try:
            async with self.db.unit(reading=way.lone) as unit:
                reader: Any = service(unit)
                if way.spare:
                    reader.spare = way.spare
                ask = Ask(reader, into, question, keys, total, way.options)
                got = await way.read(ask)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is no answer
            got = error
        if isinstance(expected, Exception) and isinstance(got, Exception):
            return
        if got != expected:
            raise Difference(self._tell(way, question, keys, expected, got))

    def _tell(
        self, way: Way, question: Question, keys: Sequence[Any], expected: Answer, got: Answer
    ) -> str:
        model = self.models.table(self.response.table)
        service = self.models.service(self.response.table)
        try:
            plan = service.plan(self.models.response(self.response)).explain()
        except Exception as error:  # noqa: BLE001 - that is shown then
            plan = repr(error)
        rows = [f"{name}: {row!r}" for name, rows in self.world.items() for row in rows]
        return "\n".join(
            [
                f"{way.name} of {self.response.name} from {model.__name__} differs",
                f"on {self.db.engine.dialect.name}, asked for {question!r}",
                "", self.models.shown(self.response), "", *rows, "",
                f"keys:     {list(keys)!r}",
                f"ordinary: {_text(expected)}", f"got:      {_text(got)}", "", plan,
            ]
        )  # fmt: skip


def _text(answer: Answer) -> str:
    if isinstance(answer, bytes):
        return repr(answer)
    return "refused: " + "".join(traceback.format_exception(answer, limit=-3)).strip()


async def compare(
    db: Database, example: Example, differs: Callable[[Difference], None] | None = None
) -> None:
    """Compare all ways to read on all cases of an example.

    Args:
        db: An open database; tables are made in it, and dropped.
        example: What is compared.
        differs: Told of every difference; left out, the first one is raised.

    Raises:
        Difference: A way to read answers otherwise than FastAPI's.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        async with made(db, example.schema, example.responses) as models:
            for world, asked in example.worlds:
                await fill(db, models, example.schema, world)
                for response, question in zip(example.responses, asked, strict=True):
                    case = _Case(db, models, response, world)
                    try:
                        await case.compare(Question(include_deleted=question.include_deleted))
                        await case.compare(question)
                    except Difference as difference:
                        if differs is None:
                            raise
                        differs(difference)


def for_examples(
    engine: str, cases: int, number: int, check: Callable[[Example], None], *, shrink: bool = True
) -> Iterator[str]:
    """Check examples with at least so many cases, a case being one response and one set of data.

    Args:
        engine: What the values have to be storable in.
        cases: How many.
        number: The seed of the first run; the next run has the next.
        check: Raises what is wrong with an example.
        shrink: Whether to look for the smallest example that fails.

    Yields:
        The arguments that repeat a run, before it.
    """
    per_run = PER_RUN * math.prod(SIZES[engine])
    phases = (Phase.generate, Phase.shrink) if shrink else (Phase.generate,)
    for run in range(-(-cases // per_run)):
        yield f"--engine {engine} --cases {per_run} --seed {number + run}"

        @seed(number + run)
        @settings(
            max_examples=PER_RUN,
            deadline=None,
            database=None,
            phases=phases,
            suppress_health_check=[
                HealthCheck.too_slow,
                HealthCheck.data_too_large,
                HealthCheck.filter_too_much,
                HealthCheck.large_base_example,
            ],
        )
        @given(examples(engine))
        def checked(example: Example) -> None:
            check(example)

        checked()
