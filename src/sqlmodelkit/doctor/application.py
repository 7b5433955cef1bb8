"""Checks of what the application answers."""

from collections.abc import Iterable, Iterator
from typing import Any, get_args

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from starlette.routing import BaseRoute

from sqlmodelkit.errors import ConfigError
from sqlmodelkit.inspection import looks_secret

from .findings import Seen, Subject


def responses(subject: Subject) -> Seen:
    """Look for responses that are tables, loop, or do not fit their service."""
    problems = []
    for service in subject.services:
        try:
            service.check()
        except ConfigError as error:
            problems.append((error.message, error.hint or "Change the response model."))
    for path, model in _route_models(subject.app):
        if hasattr(model, "__table__"):
            problems.append(
                (
                    f"{path} answers the table {model.__name__}.",
                    f"Declare {model.__name__}Public with what clients may see, and answer that.",
                )
            )
    return Seen(tuple(dict.fromkeys(problems)), said=f"{len(subject.services)} services")


def secrets(subject: Subject) -> Seen:
    """Look for fields of responses that are named like secrets."""
    shown = [
        (service.__name__, service.public)
        for service in subject.services
        if hasattr(service, "public")
    ]
    shown += [(path, model) for path, model in _route_models(subject.app)]
    problems = {}
    for _, model in shown:
        for inner in _nested(model, set()):
            for name, field in inner.model_fields.items():
                if _shown(name, field) and not (_lets_in(inner) or _only_a_token(model)):
                    problems[f"{inner.__name__}.{name} is shown."] = (
                        f"Take {name} out of {inner.__name__}; "
                        "let a base class without it be shared."
                    )
    return Seen(tuple(problems.items()), said=f"{len({model for _, model in shown})} responses")


def _shown(name: str, field: FieldInfo) -> bool:
    """Tell whether a field is shown that is named like a secret, by us or to clients."""
    said = field.serialization_alias or field.alias or name
    return not field.exclude and (looks_secret(name) or looks_secret(said))


def _only_a_token(model: type[BaseModel]) -> bool:
    """Tell whether a whole answer is a token: who has just made one must be told it once."""
    return {"token"} <= set(model.model_fields) <= {"token", "token_type", "expires_in"}


def _lets_in(model: type[BaseModel]) -> bool:
    """Tell whether a response is that of a login, whose purpose is a token (RFC 6749)."""
    return {"access_token", "token_type"} <= set(model.model_fields)


def health(subject: Subject) -> Seen:
    """Look for a route that says whether the application can serve."""
    if subject.app is None:
        return Seen(skipped="no application is known")
    paths = [path for path, _ in _all_routes(subject.app.routes, "")]
    found = [path for path in paths if path.endswith("/ready")]
    if found:
        return Seen(said=found[0])
    fix = "Call install(app, db), which adds /health/live and /health/ready."
    return Seen((("No route ends in /ready.", fix),))


def _route_models(app: FastAPI | None) -> Iterator[tuple[str, type[BaseModel]]]:
    for path, route in _all_routes(app.routes, "") if app else ():
        for model in _models(getattr(route, "response_model", None)):
            yield path, model


def _all_routes(routes: Iterable[BaseRoute], prefix: str) -> Iterator[tuple[str, BaseRoute]]:
    """Yield every route with its path, those of included and mounted routers too."""
    for route in routes:
        path = prefix + getattr(route, "path", "")
        inner: Any = getattr(route, "original_router", None) or route
        if getattr(inner, "routes", None):
            context = getattr(route, "include_context", None)
            yield from _all_routes(inner.routes, path + getattr(context, "prefix", ""))
        else:
            yield path, route


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        return
    for argument in get_args(annotation):
        yield from _models(argument)


def _nested(model: type[BaseModel], seen: set[type[BaseModel]]) -> Iterator[type[BaseModel]]:
    if model in seen:
        return
    seen.add(model)
    yield model
    for field in model.model_fields.values():
        for inner in _models(field.annotation):
            yield from _nested(inner, seen)
