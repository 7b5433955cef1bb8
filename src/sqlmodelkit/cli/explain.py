"""`sqlmodelkit explain`: how a response model is read, and what the database says about it.

Start at `explain`.
"""

import asyncio
from typing import Annotated, Any

import typer
from pydantic import BaseModel

from sqlmodelkit import ConfigError, Database, ServiceBase
from sqlmodelkit.projects import find_class

from .output import JsonFlag, show

Service = type[ServiceBase[Any, Any, Any]]


def explain(  # noqa: PLR0913 - the arguments of a command
    service: Annotated[str, typer.Argument(help="module:Class of the service.")],
    rest: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RESPONSE|FILTER",
            help="module:Class, if not the service's `public`; filters, as age__gte=20.",
        ),
    ] = None,
    *,
    database: Annotated[
        bool, typer.Option("--database", help="Ask the database at DATABASE_URL for its plans.")
    ] = False,
    analyze: Annotated[
        bool, typer.Option("--analyze", help="Let the database measure, too: it runs them.")
    ] = False,
    sort: Annotated[str | None, typer.Option(help="Field names, as -age,name.")] = None,
    limit: Annotated[int, typer.Option(help="The most rows.")] = 50,
    as_json: JsonFlag = False,
) -> None:
    """Show how a response model is read: the path, the reasons, the statements."""
    found: Service = find_class(service, ServiceBase)
    conditions = dict(_condition(text) for text in rest or () if "=" in text)
    into = _response(found, [text for text in rest or () if "=" not in text])
    found.check()
    plan = found.plan(into)
    said = plan.explain()
    if database or analyze:
        said = asyncio.run(_ask(found, into, conditions, sort=sort, limit=limit, analyze=analyze))
    data = {
        "service": service,
        "response": into.__name__,
        "model": plan.shape.model.__name__,
        "path": plan.path,
        "statements": plan.statement_count(),
        "reasons": list(plan.reasons),
        "text": said,
    }
    show(said, data=data, as_json=as_json)


def _response(service: Service, named: list[str]) -> type[BaseModel]:
    if len(named) > 1:
        raise ConfigError(f"{named[1]!r} is not a filter.", hint="Write it as age__gte=20.")
    if named:
        return find_class(named[0], BaseModel)
    if not hasattr(service, "public"):
        raise ConfigError(
            f"{service.__name__} has no response model.", hint="Name one after the service."
        )
    return service.public


async def _ask(
    service: Service,
    into: type[BaseModel],
    conditions: dict[str, str],
    *,
    sort: str | None,
    limit: int,
    analyze: bool,
) -> str:
    db = Database()
    async with db.lifespan(), db.session() as session:
        return await service(session).explain(
            into=into, sort=sort, limit=limit, analyze=analyze, **conditions
        )


def _condition(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value
