"""Runs the benchmark: `python -m benchmarks --help`."""

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from .contenders import CONTENDERS, Contender, Engine
from .endpoints import ENDPOINTS
from .equality import Different
from .measure import Options
from .report import about
from .sections import SECTIONS
from .stores import STORES

DOCS = Path(__file__).parent.parent / "docs"
ENGINES: tuple[Engine, ...] = get_args(Engine)


def main() -> None:
    """Measure what the command line names; print it as it comes, and write the page at the end."""
    arguments = _parser().parse_args()
    if not Path("/proc/self/stat").exists():
        sys.exit("The benchmark reads CPU times from /proc, which this system does not have.")
    if arguments.output is not None:
        # Before the run, for a folder that cannot be made would lose what has been measured.
        arguments.output.mkdir(parents=True, exist_ok=True)
    try:
        page, pictures = asyncio.run(_run(arguments))
    except Different as difference:
        sys.exit(str(difference))
    is_whole = not (arguments.engine or arguments.only or arguments.contenders)
    folder = arguments.output or (DOCS if is_whole else None)
    if folder is not None:
        (folder / "benchmarks.md").write_text(page)
        for name, picture in pictures.items():
            (folder / name).write_text(picture)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=6, help="how often each contender is loaded")
    parser.add_argument("--seconds", type=int, default=3, help="how long each load takes")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--engine", choices=ENGINES, help="one database only")
    parser.add_argument("--only", type=_names, help="endpoints, as in E1,E2")
    parser.add_argument(
        "--contenders", type=_names, help=", ".join(contender.name for contender in CONTENDERS)
    )
    parser.add_argument(
        "--output",
        type=Path,
        help="write benchmarks.md and its picture to this folder; a whole run writes to docs",
    )
    return parser


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",")]


async def _run(arguments: argparse.Namespace) -> tuple[str, dict[str, str]]:
    engines = (arguments.engine,) if arguments.engine else ENGINES
    texts: list[str] = []
    # What has been measured is told at once: a long run may not come to its end.
    _tell(texts, about(_options(arguments, _chosen(arguments.contenders))))
    pictures: dict[str, str] = {}
    for engine in engines:
        chosen = [one for one in _chosen(arguments.contenders) if engine in one.engines]
        async with STORES[engine]() as store:
            _tell(texts, f"## {store.version}\n")
            for measure in SECTIONS:
                section = await measure(store, _options(arguments, chosen), _Progress(engine))
                _tell(texts, section.text)
                pictures |= section.pictures
    return "\n".join(texts), pictures


def _tell(texts: list[str], text: str) -> None:
    texts.append(text)
    print(text, flush=True)


def _chosen(names: Sequence[str] | None) -> list[Contender]:
    unknown = set(names or ()) - {contender.name for contender in CONTENDERS}
    if unknown:
        sys.exit(f"There is no contender {', '.join(sorted(unknown))}.")
    return [contender for contender in CONTENDERS if not names or contender.name in names]


def _options(arguments: argparse.Namespace, contenders: Sequence[Contender]) -> Options:
    only = arguments.only or [endpoint.name for endpoint in ENDPOINTS]
    return Options(
        rounds=arguments.rounds,
        seconds=arguments.seconds,
        connections=arguments.connections,
        endpoints=tuple(endpoint for endpoint in ENDPOINTS if endpoint.name in only),
        contenders=tuple(contenders),
    )


class _Progress:
    """Says on stderr what is being done, with the time since the start."""

    def __init__(self, engine: str) -> None:
        self.engine = engine
        self.start = time.monotonic()

    def __call__(self, text: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self.start), 60)
        print(f"[{self.engine} {minutes:02}:{seconds:02}] {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
