"""`sqlmodelkit new`: a complete project.

Start at `new`.
"""

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from sqlmodelkit.scaffold.creating import Choices, DatabaseName, Size, create_project
from sqlmodelkit.scaffold.origins import installed_from

from .output import JsonFlag, show


def new(
    name: Annotated[str, typer.Argument(help="The project's name, and its directory.")],
    *,
    database: Annotated[DatabaseName, typer.Option(help="What DATABASE_URL names.")] = "sqlite",
    size: Annotated[Size, typer.Option(help="How much there is in it.")] = "minimal",
    as_json: JsonFlag = False,
) -> None:
    """Make a project: application, tests, Makefile, Dockerfile, CI."""
    directory = Path(name)
    written = create_project(directory, Choices(directory.name, database, size))
    steps = [f"cd {directory}", *_setup(), "make test", "make dev"]
    lines = [f"{len(written)} files are in {directory}/.", "", *(f"  {step}" for step in steps)]
    data = {"directory": str(directory), "files": [str(path) for path in written]}
    show("\n".join(lines), data=data, as_json=as_json)


def _setup() -> list[str]:
    """Return how the project gets this very package, where no index has what is installed.

    An active environment is what the project uses, so that nothing has to be said then.
    """
    source = installed_from()
    if source is None or os.environ.get("VIRTUAL_ENV") == sys.prefix:
        return []
    return [f"make setup SQLMODELKIT={shlex.quote(source)}"]
