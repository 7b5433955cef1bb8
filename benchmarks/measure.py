"""Measures HTTP requests: in each round every contender is started, warmed, and loaded.

Rounds go over the contenders, each time beginning with another one, so that what else happens on
the machine meets all of them alike.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .contenders import Contender
from .endpoints import Endpoint, load_requests
from .equality import answers, compare
from .load import Load, run_load, unanswered
from .processes import Application, Layout
from .statements import Count, count_statements
from .stores import Store

Say = Callable[[str], None]

WARM_UP_S = 1


@dataclass(frozen=True)
class Options:
    """What is measured, and for how long."""

    rounds: int
    seconds: int
    connections: int
    endpoints: tuple[Endpoint, ...]
    contenders: tuple[Contender, ...]


@dataclass(frozen=True)
class Sample:
    """One load: CPU in milliseconds per request; `database_ms` is None where there is no server."""

    application_ms: float
    database_ms: float | None
    load: Load

    @property
    def total_ms(self) -> float:
        """Return the CPU of application and database together."""
        return self.application_ms + (self.database_ms or 0.0)


@dataclass
class Results:
    """All that was measured on one database, by contender and endpoint."""

    samples: dict[tuple[str, str], list[Sample]] = field(default_factory=lambda: defaultdict(list))
    counts: dict[tuple[str, str], Count] = field(default_factory=dict)
    peak_megabytes: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    equal_answers: int = 0
    pinned: bool = True


async def measure(store: Store, options: Options, say: Say) -> Results:
    """Compare the answers, count the statements, then measure round by round.

    Raises:
        Different: Two contenders answer differently.
    """
    results = Results()
    results.equal_answers = await _check(store, options, say)
    for contender in options.contenders:
        say(f"counting statements: {contender.title}")
        counts = await count_statements(contender, store, options.endpoints, options.connections)
        results.counts |= {(contender.name, name): count for name, count in counts.items()}
    await store.clean()
    for number in range(options.rounds):
        shift = number % len(options.contenders)
        for contender in options.contenders[shift:] + options.contenders[:shift]:
            say(f"round {number + 1} of {options.rounds}: {contender.title}")
            await _round(store, options, contender, results)
    return results


def _start(store: Store, options: Options, contender: Contender) -> Application:
    environment = {
        "BENCHMARK_URL": store.url,
        "BENCHMARK_CONNECTIONS": str(options.connections),
    }
    return Application(contender.module, environment, Layout.of_this_machine().application)


async def _check(store: Store, options: Options, say: Say) -> int:
    found = {}
    for contender in options.contenders:
        say(f"comparing answers: {contender.title}")
        application = _start(store, options, contender)
        try:
            await application.ready()
            found[contender.title] = await answers(contender, application.port, options.endpoints)
        finally:
            application.stop()
        await store.clean()
    return compare(found)


async def _round(store: Store, options: Options, contender: Contender, results: Results) -> None:
    application = _start(store, options, contender)
    try:
        await application.ready()
        for endpoint in _reads_first(options.endpoints):
            sample, pinned = await _sample(store, options, application, (contender, endpoint))
            results.samples[contender.name, endpoint.name].append(sample)
            results.pinned &= pinned
            if endpoint.writes:
                await store.clean()
        results.peak_megabytes[contender.name].append(application.peak_megabytes())
    finally:
        application.stop()


def _reads_first(endpoints: Sequence[Endpoint]) -> list[Endpoint]:
    return sorted(endpoints, key=lambda endpoint: endpoint.writes)


async def _sample(
    store: Store, options: Options, application: Application, what: tuple[Contender, Endpoint]
) -> tuple[Sample, bool]:
    contender, endpoint = what
    others = Layout.of_this_machine().others

    async def load(seconds: int) -> Load:
        return await run_load(
            application.port,
            load_requests(endpoint, contender.path(endpoint)),
            seconds=seconds,
            connections=options.connections,
            cpus=others,
        )

    await load(WARM_UP_S)
    await application.idle()
    pinned = await store.pin(others)
    before, database_before = application.cpu_seconds(), await store.cpu()
    done = await load(options.seconds)
    await application.idle()
    after, database_after = application.cpu_seconds(), await store.cpu()
    answered = max(1, done.requests + unanswered(options.connections))
    database = None
    if database_before is not None and database_after is not None:
        spent = (now - database_before.get(process, 0.0) for process, now in database_after.items())
        database = 1000 * sum(spent) / answered
    return Sample(1000 * (after - before) / answered, database, done), pinned
