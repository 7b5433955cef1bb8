"""Where the user's application is, and what is in it: its models, its settings. Ring 10.

Start at `find_project`, which reads the nearest `pyproject.toml`.
"""

import pkgutil
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from fastapi import FastAPI
from sqlalchemy import MetaData
from sqlmodel import SQLModel

from .errors import ConfigError
from .settings import DatabaseSettings

T = TypeVar("T")

FILE = "pyproject.toml"
_EXAMPLE = '[tool.sqlmodelkit] with entrypoint = "app.main:app"'
_KEYS = ("base", "entrypoint", "migrations", "models", "seed")


@dataclass(frozen=True, slots=True)
class Project:
    """What `pyproject.toml` says of an application.

    Attributes:
        root: The directory of `pyproject.toml`.
        entrypoint: The application, as `app.main:app`; None when only models are named.
        models: The packages and modules in which the tables are; all of their modules are read.
        base: The class whose metadata holds the tables, as `app.models:Base`; None for SQLModel.
        migrations: The directory of the migrations.
        seed: The function that fills the database, as `app.seed:seed`; None when there is none.
    """

    root: Path
    entrypoint: str | None
    models: tuple[str, ...]
    base: str | None
    migrations: Path
    seed: str | None

    def load_models(self) -> MetaData:
        """Import every module that may hold a table, and return the metadata with all of them.

        Raises:
            ConfigError: A module cannot be imported, or there is no table in any of them.
        """
        self._reach()
        for name in self.models:
            module = _import(name)
            for inner in _inner(module):
                _import(inner)
        base: type[SQLModel] = find_object(self.base, type) if self.base else SQLModel
        if not base.metadata.tables:
            raise ConfigError(
                f"There is no table in {', '.join(self.models)}.",
                hint=f"Name the packages of your tables in {self.root / FILE}: "
                '[tool.sqlmodelkit] with models = ["app.models"].',
            )
        return base.metadata

    def load_app(self) -> FastAPI:
        """Import the application.

        Raises:
            ConfigError: No application is named, or it cannot be imported.
        """
        if self.entrypoint is None:
            raise ConfigError(
                f"{self.root / FILE} names no application.", hint=f"Write {_EXAMPLE}."
            )
        self._reach()
        return find_object(self.entrypoint, FastAPI)

    def settings(self) -> DatabaseSettings:
        """Return the database's settings: the environment's, then those of the project's `.env`.

        An SQLite file with a relative path is one below the project's root, wherever the command
        was started.

        Raises:
            ConfigError: A setting is wrong.
        """
        return _settings(self.root)

    def _reach(self) -> None:
        if str(self.root) not in sys.path:
            sys.path.insert(0, str(self.root))


def find_project(start: Path | None = None) -> Project:
    """Return the project of a directory, by default the current one, or of one above it.

    The nearest `pyproject.toml` tells: its table `[tool.sqlmodelkit]`, or FastAPI's own
    `[tool.fastapi]` with `entrypoint`.

    Raises:
        ConfigError: There is none, or it does not say where the application is.
    """
    start = (start or Path.cwd()).resolve()
    root = root_of(start)
    if root is None:
        raise ConfigError(
            f"There is no {FILE} in {start} or above it.",
            hint=f"Run the command inside a project whose {FILE} has {_EXAMPLE}.",
        )
    return _read(root)


def settings_here() -> DatabaseSettings:
    """Return the database's settings of the current project; outside of one, the environment's.

    Raises:
        ConfigError: A setting is wrong.
    """
    here = Path.cwd()
    return _settings(root_of(here) or here)


def find_object(address: str, kind: type[T]) -> T:
    """Import what an address such as `app.main:app` names.

    Raises:
        ConfigError: It cannot be imported, or is not an instance of `kind`.
    """
    found = _named(address, example="app.main:app", noun="object")
    if not isinstance(found, kind):
        raise ConfigError(f"{address} is not a {kind.__name__}.")
    return found


def find_class(address: str, kind: type[T]) -> type[T]:
    """Import the class that an address such as `app.heroes:HeroService` names.

    Raises:
        ConfigError: It cannot be imported, or is not a subclass of `kind`.
    """
    found = _named(address, example="app.heroes:HeroService", noun="class")
    if not isinstance(found, type):
        raise ConfigError(f"There is no class {address}.")
    if not issubclass(found, kind):
        raise ConfigError(f"{address} is not a {kind.__name__}.")
    return found


def root_of(start: Path) -> Path | None:
    """Return the nearest directory with a `pyproject.toml`: this one or one above it."""
    return next((place for place in (start, *start.parents) if (place / FILE).is_file()), None)


def _settings(root: Path) -> DatabaseSettings:
    return settings_below(root, DatabaseSettings(_env_file=root / ".env"))


def settings_below(root: Path, settings: DatabaseSettings) -> DatabaseSettings:
    """Return settings in which an SQLite file with a relative path is one below a directory."""
    url = settings.engine_url()
    place = url.database
    if url.get_backend_name() != "sqlite" or not place or place.startswith((":", "/", "file:")):
        return settings
    absolute = url.set(database=str(root / place))
    return settings.model_copy(update={"url": absolute.render_as_string(hide_password=False)})


def _named(address: str, *, example: str, noun: str) -> Any:
    module, separator, name = address.partition(":")
    if not separator:
        raise ConfigError(f"{address!r} names no {noun}.", hint=f"Write it as {example}.")
    return getattr(_import(module), name, None)


def _import(name: str) -> ModuleType:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        missing = str(error.name)
        if name == missing or name.startswith(f"{missing}."):
            raise ConfigError(
                f"There is no module {missing!r}.",
                hint="Run the command where the application is.",
            ) from error
        raise ConfigError(
            f"{name} cannot be imported: it needs the module {missing!r}.",
            hint=f"Install it in the environment of {sys.executable}.",
        ) from error
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(
            f"{name} cannot be imported: {type(error).__name__}: {error}",
            hint=f"Try it alone: python -c 'import {name}'.",
        ) from error


def _inner(module: ModuleType) -> Iterator[str]:
    """Return the names of all modules below a package, as far as they are imported meanwhile."""
    for found in pkgutil.iter_modules(getattr(module, "__path__", ()), f"{module.__name__}."):
        if found.name.endswith(".__main__"):
            continue
        yield found.name
        if found.ispkg:
            yield from _inner(sys.modules[found.name])


def _read(root: Path) -> Project:
    path = root / FILE
    try:
        tools = tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}", hint="Correct it.") from error
    ours: dict[str, Any] = tools.get("sqlmodelkit", {})
    _check(ours, path)
    entrypoint = ours.get("entrypoint") or tools.get("fastapi", {}).get("entrypoint")
    models = ours.get("models") or (
        [entrypoint.partition(":")[0].split(".")[0]] if entrypoint else []
    )
    if not models:
        raise ConfigError(
            f"{path} does not say where the application is.", hint=f"Write {_EXAMPLE}."
        )
    return Project(
        root,
        entrypoint,
        tuple(models),
        ours.get("base"),
        root / ours.get("migrations", "migrations"),
        ours.get("seed"),
    )


def _check(ours: dict[str, Any], path: Path) -> None:
    for key, value in ours.items():
        if key not in _KEYS:
            raise ConfigError(
                f"{path} has {key} in [tool.sqlmodelkit], which is not known.",
                hint=f"Known are {', '.join(_KEYS)}.",
            )
        items = value if key == "models" and isinstance(value, list) else [value]
        if (key == "models" and items is not value) or not all(isinstance(i, str) for i in items):
            kind = "a list of texts" if key == "models" else "a text"
            raise ConfigError(
                f"{path} has {key} = {value!r} in [tool.sqlmodelkit].", hint=f"Write {kind}."
            )
