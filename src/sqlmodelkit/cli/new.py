"""`sqlmodelkit new`: a complete project.

Start at `new`.
"""

from pathlib import Path
from typing import Annotated

import typer

from sqlmodelkit.scaffold.creating import Choices, DatabaseName, Size, create_project

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
    lines = [
        f"{len(written)} files are in {directory}/.",
        "",
        f"  cd {directory}",
        "  make test",
        "  make dev",
    ]
    data = {"directory": str(directory), "files": [str(path) for path in written]}
    show("\n".join(lines), data=data, as_json=as_json)
