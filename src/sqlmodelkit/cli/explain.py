"""`sqlmodelkit explain`: how a response model or a URL is read, and what the database says.

Start at `explain`.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any

import typer
from fastapi import FastAPI
from pydantic import BaseModel

from sqlmodelkit import ConfigError, Database, Scope, ServiceBase
from sqlmodelkit.advising import Answered, IndexAdvice, advise, capturing, explain_url
from sqlmodelkit.doctor import services_of
from sqlmodelkit.pages import DEFAULT_LIMIT
from sqlmodelkit.projects import find_class, find_project, settings_here
from sqlmodelkit.scopes import UNSET

from .output import JsonFlag, show

Service = type[ServiceBase[Any, Any, Any]]


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked of a service, and in which scope."""

    conditions: Mapping[str, str] = field(default_factory=dict)
    sort: str | None = None
    limit: int | None = None
    scope: Scope = UNSET


def explain(  # noqa: PLR0913 - the arguments of a command
    service: Annotated[
        str,
        typer.Argument(
            help="module:Class of a service, a response model or a table; or GET, and then a URL."
        ),
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
    limit: Annotated[int | None, typer.Option(help="The most rows; else 50.")] = None,
    scope: Annotated[
        list[str] | None, typer.Option(help="What it is limited to, as tenant=7.")
    ] = None,
    leaving: Annotated[
        list[str] | None, typer.Option(help="A rule of tables that does not hold, as tenant.")
    ] = None,
    header: Annotated[
        list[str] | None, typer.Option(help="What the request to a URL says, as 'Name: value'.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Show how a response or a URL is read: the path, the reasons, the statements."""
    if service.isupper():
        _explain_url(service, rest or [], header or [], as_json=as_json)
        return
    found, public = _service(service)
    asked = _Asked(
        dict(_pair(text, "age__gte=20") for text in rest or () if "=" in text),
        sort,
        limit,
        Scope(dict(_pair(text, "tenant=7") for text in scope or ()), leaving or ()),
    )
    into = _response(found, public, [text for text in rest or () if "=" not in text])
    ask = database or analyze
    if not ask and asked != _Asked():
        raise ConfigError(
            "Filters, sort, limit and scope are the database's business.",
            hint="Give --database too.",
        )
    _explain_read(found, into, asked if ask else None, analyze=analyze, as_json=as_json)


def _explain_read(
    found: Service,
    into: type[BaseModel],
    asked: _Asked | None,
    *,
    analyze: bool,
    as_json: bool,
) -> None:
    found.check()
    plan = found.plan(into)
    said = plan.explain()
    advice: list[IndexAdvice] = []
    if asked is not None:
        said, advice = asyncio.run(_ask(found, into, asked, analyze=analyze))
    data = {
        "service": found.__name__,
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


def _service(address: str) -> tuple[Service, type[BaseModel] | None]:
    """Return the service that an address means, and the response model if it names one."""
    found = find_class(address, object)
    if issubclass(found, ServiceBase):
        return found, None
    if not issubclass(found, BaseModel):
        raise ConfigError(f"{address} is no service, response model or table.")
    is_table = hasattr(found, "__table__")
    _import_services()
    serving: list[Service] = [
        service
        for service in services_of()
        if found is (service.model if is_table else getattr(service, "public", None))
    ]
    if len(serving) == 1:
        return serving[0], None if is_table else found
    names = ", ".join(f"{service.__module__}:{service.__qualname__}" for service in serving)
    raise ConfigError(
        f"{found.__name__} belongs to {names or 'no service'}.",
        hint=f"Name the service{'' if is_table else ', and then the response model'}.",
    )


def _import_services() -> None:
    try:
        project = find_project()
    except ConfigError:  # the class was found without one
        return
    project.load_models()
    if project.entrypoint is not None:
        project.load_app()


def _response(
    service: Service, public: type[BaseModel] | None, named: list[str]
) -> type[BaseModel]:
    if len(named) > (public is None):
        raise ConfigError(f"{named[-1]!r} is not a filter.", hint="Write it as age__gte=20.")
    if public is not None:
        return public
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
    asked: _Asked,
    *,
    analyze: bool,
) -> tuple[str, list[IndexAdvice]]:
    db = Database(settings=settings_here())
    async with db.lifespan():
        async with db.session(scope=asked.scope) as session:
            with capturing(db) as sent:
                said = await service(session).explain(
                    into=into,
                    sort=asked.sort,
                    limit=DEFAULT_LIMIT if asked.limit is None else asked.limit,
                    analyze=analyze,
                    **asked.conditions,
                )
            connection = await session.connection()
            advice = [
                one
                for statement in sent
                for one in await advise(connection, statement, metadata=service.model.metadata)
            ]
        return said, list(dict.fromkeys(advice))


def _pair(text: str, example: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not (name and separator):
        raise ConfigError(f"{text!r} is not understood.", hint=f"Write it as {example}.")
    return name, value
