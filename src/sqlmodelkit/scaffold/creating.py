"""A new project: every file of it, and secrets of its own.

Start at `create_project`.
"""

import re
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal, get_args

from sqlmodelkit.errors import ConfigError
from sqlmodelkit.migrations.place import ENVIRONMENT, FILE_TEMPLATE, SCRIPT

from .records import RECORD, Record
from .rendering import TEMPLATES, render_tree

DatabaseName = Literal["sqlite", "postgresql", "mariadb"]
Size = Literal["minimal", "shop"]
DATABASES: tuple[str, ...] = get_args(DatabaseName)
SIZES: tuple[str, ...] = get_args(Size)

_URLS = {
    "sqlite": "sqlite:///./app.db",
    "postgresql": "postgresql://app:app@127.0.0.1/app",
    "mariadb": "mysql://app:app@127.0.0.1/app",
}
_NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class Choices:
    """What a person chooses for a new project."""

    name: str
    database: DatabaseName = "sqlite"
    size: Size = "minimal"

    @classmethod
    def of(cls, choices: Mapping[str, str]) -> "Choices":
        """Return what was chosen when a project was made.

        Raises:
            ConfigError: The installed version does not know it.
        """
        known = {"database": DATABASES, "size": SIZES}
        unknown = {
            name: text
            for name, text in choices.items()
            if name != "name" and text not in known.get(name, ())
        }
        if unknown or "name" not in choices:
            raise ConfigError(
                f"The project was made with {unknown or dict(choices)}, which sqlmodelkit "
                f"{version('sqlmodelkit')} does not know.",
                hint="Install the version that made it, or a newer one.",
            )
        return cls(**choices)  # type: ignore[arg-type] # as checked

    def files(self, templates: Path = TEMPLATES) -> dict[str, str]:
        """Return every file of the project, by its name below the root.

        Args:
            templates: Where the templates are.

        Raises:
            ConfigError: The project cannot have this name.
        """
        if not _NAME.fullmatch(self.name):
            raise ConfigError(
                f"A project cannot be called {self.name!r}.",
                hint="Use lower-case letters, digits and hyphens, as in hero-api.",
            )
        values = {
            "name": self.name,
            "size": self.size,
            "database": self.database,
            "package": "app",
            "demo": False,
            "token": "API_TOKEN",
            "title": re.sub(r"[-_]", " ", self.name).capitalize(),
            "database_url": _URLS[self.database],
            "version": version("sqlmodelkit"),
            "file_template": FILE_TEMPLATE,
        }
        common = render_tree("project/common", values, templates=templates)
        migrations = {"migrations/env.py": ENVIRONMENT, "migrations/script.py.mako": SCRIPT}
        return (
            common | migrations | render_tree(f"project/{self.size}", values, templates=templates)
        )


def create_project(directory: Path, choices: Choices, *, templates: Path = TEMPLATES) -> list[Path]:
    """Write a new project, and return its files.

    Args:
        directory: Where it shall be; it must be empty, or not there.
        choices: What it shall be like.
        templates: Where the templates are.

    Raises:
        ConfigError: There is something already, or the name cannot be used.
    """
    files = choices.files(templates)
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise ConfigError(
            f"{directory} is there already.", hint="Nothing was written; choose another name."
        )
    files[RECORD] = Record(version("sqlmodelkit"), asdict(choices), dict(files)).text()
    files[".env"] = _with_secrets(files[".env.example"])
    written = []
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written


def _with_secrets(example: str) -> str:
    """Return the example of `.env` with secrets that nobody else has."""
    lines = [line for line in example.splitlines() if not line.startswith("# Copied")]
    return "".join(
        f"{line.removeprefix('# ')}{secrets.token_urlsafe(32)}\n"
        if re.fullmatch(r"# [A-Z_]+=", line)
        else f"{line}\n"
        for line in lines
    )
