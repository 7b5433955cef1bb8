"""Compare many generated cases by hand: `python -m tests.plan --cases 10000 --engine sqlite`.

Without `--seed` every call is another one; what repeats a part of it is printed before that part.
"""

import argparse
import asyncio
import resource
import secrets
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlmodelkit import Database
from tests.plan.generated import Difference, Example, compare, for_examples
from tests.servers import DRIVERS, Databases, find_servers, with_driver

ENGINES = ("sqlite", "postgresql", "mariadb")


def _address(engine: str, stack: ExitStack) -> str:
    """Make a database that is dropped at the end."""
    if engine == "sqlite":
        folder = stack.enter_context(TemporaryDirectory())
        return f"sqlite+aiosqlite:///{Path(folder) / 'generated.db'}"
    databases = Databases(find_servers(stack), Databases.name_run())
    stack.callback(databases.drop_all)
    return with_driver(databases.create(engine), DRIVERS[engine])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.plan", description=__doc__)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--engine", choices=ENGINES, default="sqlite")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--all", action="store_true", help="go on after a difference, print each")
    return parser.parse_args()


def run(engine: str, cases: int, number: int, *, go_on: bool) -> Counter[str]:
    """Compare cases on an engine; return how often which way differed."""
    differences: Counter[str] = Counter()

    def differs(difference: Difference) -> None:
        text = str(difference)
        differences[text.partition(" of ")[0]] += 1
        print(f"{'=' * 100}\n{text}", flush=True)  # noqa: T201 - that is what it is for

    with asyncio.Runner() as runner, ExitStack() as stack:
        db = Database(_address(engine, stack))
        stack.callback(lambda: runner.run(db.close()))

        def check(example: Example) -> None:
            runner.run(compare(db, example, differs if go_on else None))

        for repeat in for_examples(engine, cases, number, check, shrink=not go_on):
            print(repeat, flush=True)  # noqa: T201
    return differences


def main() -> None:
    """Run what the command line asks for."""
    options = _options()
    number = secrets.randbelow(2**32) if options.seed is None else options.seed
    start = time.monotonic()
    differences = run(options.engine, options.cases, number, go_on=options.all)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{time.monotonic() - start:.0f} s, {peak} MB at most, differences: {dict(differences)}")  # noqa: T201


if __name__ == "__main__":
    main()
