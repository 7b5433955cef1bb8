"""The command line: `python -m sqlmodelkit explain app.heroes:HeroService`. Ring 13."""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from . import ConfigError, Database, ServiceBase, SQLModelKitError

_EXAMPLES = """examples:
  python -m sqlmodelkit explain app.heroes:HeroService
  python -m sqlmodelkit explain app.heroes:HeroService app.heroes:HeroDetail
  python -m sqlmodelkit explain app.heroes:HeroService --database age__gte=20 --sort=-age
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the answer is the exit status."""
    options = _parsed(arguments)
    # As with `python -m`, what lies in the current directory can be named.
    sys.path.insert(0, str(Path.cwd()))
    try:
        sys.stdout.write(explain(options) + "\n")
    except SQLModelKitError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


def explain(options: argparse.Namespace) -> str:
    """Describe how a service reads a response model; with `database`, ask the database too.

    Raises:
        ConfigError: The service or the response model cannot be found, or do not fit.
    """
    service: type[ServiceBase[Any, Any, Any]] = _find(options.service, ServiceBase)
    conditions = dict(_condition(text) for text in options.rest if "=" in text)
    responses = [text for text in options.rest if "=" not in text]
    if len(responses) > 1:
        raise ConfigError(f"{responses[1]!r} is not a filter.", hint="Write it as age__gte=20.")
    if responses:
        into: type[BaseModel] = _find(responses[0], BaseModel)
    elif hasattr(service, "public"):
        into = service.public
    else:
        raise ConfigError(
            f"{service.__name__} has no response model.", hint="Name one after the service."
        )
    service.check()
    if not (options.database or options.analyze):
        return service.plan(into).explain()
    return asyncio.run(_ask(service, into, conditions, options))


async def _ask(
    service: type[ServiceBase[Any, Any, Any]],
    into: type[BaseModel],
    conditions: dict[str, str],
    options: argparse.Namespace,
) -> str:
    db = Database()
    async with db.lifespan(), db.session() as session:
        return await service(session).explain(
            into=into,
            sort=options.sort,
            limit=options.limit,
            analyze=options.analyze,
            **conditions,
        )


def _condition(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value


def _find(address: str, kind: type[Any]) -> Any:
    module, separator, name = address.partition(":")
    if not separator:
        raise ConfigError(
            f"{address!r} names no class.", hint="Write it as app.heroes:HeroService."
        )
    try:
        found = getattr(import_module(module), name, None)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"There is no module {error.name!r}.", hint="Run the command where the application is."
        ) from error
    if not isinstance(found, type) or not issubclass(found, kind):
        raise ConfigError(f"{address} is not a {kind.__name__}.")
    return found


def _parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    # argparse takes no further filters after an option, and gives them back as unknown.
    parser = _parser()
    options, further = parser.parse_known_args(arguments)
    unknown = [text for text in further if text.startswith("-")]
    if unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    options.rest += further
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sqlmodelkit",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command = parser.add_subparsers(required=True, metavar="command").add_parser(
        "explain",
        help="show how a response model is read: the path, the reasons, the statements",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("service", help="module:Class of the service")
    command.add_argument(
        "rest",
        nargs="*",
        metavar="response or filter",
        help="module:Class, if not the service's `public`; filters, as age__gte=20",
    )
    command.add_argument(
        "--database", action="store_true", help="ask the database at DATABASE_URL for its plans"
    )
    command.add_argument(
        "--analyze", action="store_true", help="let the database measure, too: it runs them"
    )
    command.add_argument("--sort", help="field names, as -age,name")
    command.add_argument("--limit", type=int, default=50, help="the most rows")
    return parser


if __name__ == "__main__":
    sys.exit(main())
