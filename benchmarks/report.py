"""Turns measurements into the tables of docs/benchmarks.md."""

import os
import platform
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from statistics import median

from .contenders import Contender, Kind
from .endpoints import ENDPOINTS
from .load import generator_name
from .measure import Options, Results, Sample
from .processes import loop_options

_STACK = ("fastapi", "pydantic", "sqlalchemy", "uvicorn")

Cell = Callable[[Contender, str], str]

_ABOUT = """\
# Benchmarks

Written by `make bench`. Ratios hold on other machines, absolute figures do not.

![CPU of each request on PostgreSQL, application and database](benchmarks.svg)

- **Data**: 1,000 teams, 20,000 heroes, 50 powers, about 3 powers a hero; every hero has a time.
- **Contenders**: small FastAPI applications in `benchmarks/contenders/`, one file each, each
  written as the library's own documentation does.
- **Endpoints**: {endpoints}.
- **Equal work**: before anything is timed the parsed JSON of all contenders is compared.
  Evened out are only the envelope around the rows where a library's router forces one (the lists
  of `crud_router`), what a page says besides its rows and its total, and the key and the time that
  the database gives a created row.
- **Equal conditions**: one uvicorn worker ({loop}), {connections} HTTP connections, as many
  database connections, otherwise each library's defaults; the application on one CPU, database and
  load generator ({generator}) on another.
- **Figures**: medians of {rounds} rounds over all contenders, {seconds} s each, on a warm process.
  CPU is what the kernel booked for the application's process and for the database's backends.
- **Versions**: {versions}.
- **Machine**: {cores} CPU cores, {machine}. **Date**: {date}.
"""


def about(options: Options) -> str:
    """Return the head of the page: what was measured, how, where and when."""
    names = dict.fromkeys((*_of(options.contenders), *_STACK))
    versions = ", ".join(f"{name} {_version(name)}" for name in names)
    return _ABOUT.format(
        endpoints=" · ".join(f"**{endpoint.name}** {endpoint.title}" for endpoint in ENDPOINTS),
        loop=" + ".join(loop_options()),
        connections=options.connections,
        generator=generator_name(),
        rounds=options.rounds,
        seconds=options.seconds,
        versions=f"Python {platform.python_version()}, {versions}",
        cores=os.cpu_count(),
        machine=f"{platform.machine()}, {platform.system()}",
        date=datetime.now(UTC).date().isoformat(),
    )


def _of(contenders: Sequence[Contender]) -> list[str]:
    return [name for contender in contenders for name in contender.distributions]


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "from this checkout"


def tables(results: Results, options: Options) -> str:
    """Return all tables of one database."""
    has_server = any(sample.database_ms is not None for sample in _all(results))
    parts = [
        ("CPU milliseconds per request" + (": application + database" * has_server), _cpu),
        ("Total CPU, as a multiple of the better hand-written contender", _against_hand),
        ("How many times less CPU than SQLModel docs style: total (application alone)", _against_docs),
        ("Requests per second", _rate),
        ("Latency in milliseconds: p50 / p99", _latency),
        ("Statements per request" + (" (round trips)" * has_server), _statements),
    ]  # fmt: skip
    texts = [_table(title, options, make(results, options)) for title, make in parts]
    notes = [f"{results.equal_answers} answers were compared and equal."]
    if not results.pinned:
        notes.append("The database's processes could not be kept on one CPU.")
    return "\n".join([*texts, _memory(results, options), " ".join(notes), ""])


def _all(results: Results) -> list[Sample]:
    return [sample for samples in results.samples.values() for sample in samples]


def _table(title: str, options: Options, cell: Cell) -> str:
    names = [endpoint.name for endpoint in options.endpoints]
    lines = [f"### {title}", "", f"| | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for contender in options.contenders:
        cells = " | ".join(cell(contender, name) for name in names)
        lines.append(f"| {_bold(contender)} | {cells} |")
    return "\n".join([*lines, ""])


def _bold(contender: Contender) -> str:
    return f"**{contender.title}**" if contender.kind == "ours" else contender.title


def middle(
    results: Results, contender: str, endpoint: str, value: Callable[[Sample], float]
) -> float | None:
    """Return the median of a value; None when a load had errors, or there was none."""
    samples = results.samples.get((contender, endpoint), [])
    if not samples or any(sample.load.errors for sample in samples):
        return None
    return median(value(sample) for sample in samples)


def _measured(value: Callable[[Results, str, str], str | None], results: Results) -> Cell:
    def cell(contender: Contender, endpoint: str) -> str:
        text = value(results, contender.name, endpoint)
        return "failed" if text is None else text

    return cell


def _total(sample: Sample) -> float:
    return sample.total_ms


def _application(sample: Sample) -> float:
    return sample.application_ms


def _cpu(results: Results, options: Options) -> Cell:
    def text(results: Results, contender: str, endpoint: str) -> str | None:
        application = middle(results, contender, endpoint, _application)
        database = middle(results, contender, endpoint, lambda sample: sample.database_ms or 0.0)
        if application is None or database is None:
            return None
        samples = results.samples[contender, endpoint]
        is_apart = any(sample.database_ms is not None for sample in samples)
        return f"{application:.2f} + {database:.2f}" if is_apart else f"{application:.2f}"

    return _measured(text, results)


def _multiple(
    results: Results,
    options: Options,
    where: tuple[str, str],
    kind: Kind,
    value: Callable[[Sample], float],
) -> float | None:
    """Return a value as a multiple of the best contender's of a kind; None without one."""
    contender, endpoint = where
    rivals = [rival.name for rival in options.contenders if rival.kind == kind]
    found = [middle(results, rival, endpoint, value) for rival in rivals]
    best = min((value for value in found if value is not None), default=None)
    own = middle(results, contender, endpoint, value)
    return None if own is None or best is None else own / best


def _against_hand(results: Results, options: Options) -> Cell:
    def cell(contender: Contender, endpoint: str) -> str:
        where = (contender.name, endpoint)
        multiple = _multiple(results, options, where, "hand-written", _total)
        return "n/a" if multiple is None else f"{multiple:.2f}"

    return cell


def _against_docs(results: Results, options: Options) -> Cell:
    def cell(contender: Contender, endpoint: str) -> str:
        where = (contender.name, endpoint)
        total = _multiple(results, options, where, "style", _total)
        alone = _multiple(results, options, where, "style", _application)
        return "n/a" if total is None or alone is None else f"{1 / total:.1f} ({1 / alone:.1f})"

    return cell


def _rate(results: Results, options: Options) -> Cell:
    def text(results: Results, contender: str, endpoint: str) -> str | None:
        rate = middle(
            results, contender, endpoint, lambda sample: sample.load.requests / sample.load.seconds
        )
        return None if rate is None else f"{rate:,.0f}"

    return _measured(text, results)


def _latency(results: Results, options: Options) -> Cell:
    def text(results: Results, contender: str, endpoint: str) -> str | None:
        p50 = middle(results, contender, endpoint, lambda sample: sample.load.p50_ms)
        p99 = middle(results, contender, endpoint, lambda sample: sample.load.p99_ms)
        return None if p50 is None or p99 is None else f"{p50:.1f} / {p99:.1f}"

    return _measured(text, results)


def _statements(results: Results, options: Options) -> Cell:
    def cell(contender: Contender, endpoint: str) -> str:
        count = results.counts[contender.name, endpoint]
        trips = f" ({count.round_trips:.3g})" if count.round_trips else ""
        return f"{count.statements:.3g}{trips}"

    return cell


def _memory(results: Results, options: Options) -> str:
    lines = ["### Peak memory of the process, MB", "", "| | MB |", "|---|---|"]
    lines += [
        f"| {_bold(contender)} | {median(results.peak_megabytes[contender.name]):.0f} |"
        for contender in options.contenders
    ]
    return "\n".join([*lines, ""])
