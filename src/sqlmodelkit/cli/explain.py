"""`sqlmodelkit explain`: how a response model or a URL is read, and what the database says.

Start at `explain`.
"""

import asyncio
from dataclasses import asdict
from typing import Annotated, Any

import typer
from fastapi import FastAPI
from pydantic import BaseModel

from sqlmodelkit import ConfigError, Database, ServiceBase
from sqlmodelkit.advising import Answered, IndexAdvice, advise, capturing, explain_url
from sqlmodelkit.projects import find_class, find_project, settings_here

from .output import JsonFlag, show

Service = type[ServiceBase[Any, Any, Any]]


def explain(  # noqa: PLR0913 - the arguments of a command
    service: Annotated[
        str, typer.Argument(help="module:Class of the service; or GET, and then a URL.")
    ],
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
    header: Annotated[
        list[str] | None, typer.Option(help="What the request to a URL says, as 'Name: value'.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Show how a response or a URL is read: the path, the reasons, the statements."""
    if service.isupper():
        _explain_url(service, rest or [], header or [], as_json=as_json)
        return
    found: Service = find_class(service, ServiceBase)
    conditions = dict(_condition(text) for text in rest or () if "=" in text)
    into = _response(found, [text for text in rest or () if "=" not in text])
    found.check()
    plan = found.plan(into)
    said = plan.explain()
    advice: list[IndexAdvice] = []
    if database or analyze:
        said, advice = asyncio.run(
            _ask(found, into, conditions, sort=sort, limit=limit, analyze=analyze)
        )
    data = {
        "service": service,
        "response": into.__name__,
        "model": plan.shape.model.__name__,
        "path": plan.path,
        "statements": plan.statement_count(),
        "reasons": list(plan.reasons),
        "text": said,
        "advice": [asdict(each) for each in advice],
    }
    lines = [f"Missing index on {each}" for each in advice]
    show("\n".join([said.rstrip(), *([""] if lines else []), *lines]), data=data, as_json=as_json)


def _explain_url(method: str, rest: list[str], headers: list[str], *, as_json: bool) -> None:
    if len(rest) != 1:
        raise ConfigError(f"{method} needs one URL.", hint="Write GET '/heroes?age__gte=20'.")
    sent = dict(_header(text) for text in headers)
    app = find_project().load_app()
    found = asyncio.run(_request(app, rest[0], method, sent))
    data = {
        "status": found.status,
        "refusal": found.refusal,
        "plan": found.plan,
        "statements": [{"text": sent.text, "plan": plan} for sent, plan in found.statements],
        "advice": [asdict(advice) for advice in found.advice],
    }
    show(str(found), data=data, as_json=as_json)


async def _request(app: FastAPI, url: str, method: str, headers: dict[str, str]) -> Answered:
    try:
        return await explain_url(app, url, method=method, headers=headers)
    finally:
        db = getattr(app.state, "sqlmodelkit", None)
        if isinstance(db, Database):
            await db.close()


def _header(text: str) -> tuple[str, str]:
    name, separator, value = text.partition(":")
    if not separator:
        raise ConfigError(f"{text!r} is no header.", hint="Write it as 'Name: value'.")
    return name.strip(), value.strip()


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
) -> tuple[str, list[IndexAdvice]]:
    db = Database(settings=settings_here())
    async with db.lifespan():
        async with db.session() as session:
            with capturing(db) as sent:
                said = await service(session).explain(
                    into=into, sort=sort, limit=limit, analyze=analyze, **conditions
                )
            connection = await session.connection()
            advice = [
                one
                for statement in sent
                for one in await advise(connection, statement, metadata=service.model.metadata)
            ]
        return said, list(dict.fromkeys(advice))


def _condition(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value
