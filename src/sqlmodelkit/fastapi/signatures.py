"""What FastAPI sees of a generated endpoint: its parameters, and the model of its body."""

import inspect
from collections.abc import Callable, Sequence
from types import new_class
from typing import Annotated, Any

from fastapi import Path
from pydantic import BaseModel, ConfigDict

from sqlmodelkit.columns import bounds, columns_of, key_of, value_type
from sqlmodelkit.service import ServiceBase


def signed(
    made: Callable[..., Any], endpoint: Callable[..., Any], parts: Sequence[inspect.Parameter]
) -> Callable[..., Any]:
    """Let FastAPI see a function with the name of an endpoint, and with these parameters."""
    named = [part.replace(kind=inspect.Parameter.KEYWORD_ONLY) for part in parts]
    made.__name__ = endpoint.__name__
    made.__signature__ = inspect.Signature(named)  # type: ignore[attr-defined]
    return made


def parameter(name: str, dependency: Any) -> inspect.Parameter:
    """Return a parameter that a dependency gives."""
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[Any, dependency]
    )


def key_parameters(
    service_class: type[ServiceBase[Any, Any, Any]],
) -> list[inspect.Parameter]:
    """Return parameters that read the key from the path, each part with its column's type."""
    model = service_class.model
    columns = columns_of(model)
    return [
        inspect.Parameter(
            f"key_{name}",
            inspect.Parameter.KEYWORD_ONLY,
            annotation=Annotated[value_type(model, name), _path(name, bounds(columns[name]))],
        )
        for name in key_of(model)
    ]


def _path(name: str, limits: tuple[int, int] | None) -> Any:
    least, most = limits or (None, None)
    return Path(alias=name, ge=least, le=most)


def strict(schema: type[BaseModel]) -> Any:
    """Return the schema in a form that refuses unknown fields, unless it says what to do itself."""
    if schema.model_config.get("extra") is not None:
        return schema
    body = {
        "__module__": schema.__module__,
        "__qualname__": schema.__qualname__,
        "__doc__": schema.__doc__,
        "model_config": ConfigDict(extra="forbid"),
    }
    return new_class(schema.__name__, (schema,), {}, lambda namespace: namespace.update(body))
