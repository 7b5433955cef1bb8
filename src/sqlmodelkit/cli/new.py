"""`sqlmodelkit new`: a complete project.

Start at `new`.
"""

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from sqlmodelkit import ConfigError
from sqlmodelkit.scaffold.creating import Choices, DatabaseName, Size, create_project
from sqlmodelkit.scaffold.origins import installed_from
from sqlmodelkit.scaffold.records import find_record
from sqlmodelkit.scaffold.updating import Update, plan_update

from .output import JsonFlag, show


def new(  # noqa: PLR0913 - the arguments of a command
    name: Annotated[
        str | None,
        typer.Argument(help="The project's name, and its directory.", show_default=False),
    ] = None,
    *,
    database: Annotated[DatabaseName, typer.Option(help="What DATABASE_URL names.")] = "sqlite",
    size: Annotated[Size, typer.Option(help="How much there is in it.")] = "minimal",
    update: Annotated[
        bool,
        typer.Option("--update", help="Bring the project here to the template of this version."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what --update would change, as a patch.")
    ] = False,
    allow_dirty: Annotated[
        bool, typer.Option("--allow-dirty", help="Update over changes that are not committed.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Make a project: application, tests, Makefile, Dockerfile, CI; or update one."""
    if (name is None) is not update:
        raise typer.BadParameter("Give the project a name, or say --update inside of one.")
    if name is None:
        _update(dry_run=dry_run, allow_dirty=allow_dirty, as_json=as_json)
        return
    if dry_run or allow_dirty:
        raise typer.BadParameter("--dry-run and --allow-dirty belong to --update.")
    directory = Path(name)
    written = create_project(directory, Choices(directory.name, database, size))
    steps = [f"cd {directory}", *_setup(), "make test", "make dev"]
    lines = [f"{len(written)} files are in {directory}/.", "", *(f"  {step}" for step in steps)]
    data = {"directory": str(directory), "files": [str(path) for path in written]}
    show("\n".join(lines), data=data, as_json=as_json)


def _update(*, dry_run: bool, allow_dirty: bool, as_json: bool) -> None:
    """Bring a project to the template of the installed version; fail where there are conflicts."""
    found = plan_update(find_record(Path.cwd()), allow_dirty=allow_dirty)
    data: dict[str, Any] = {
        "from": found.record.version,
        "to": found.new.version,
        "files": [
            {"file": each.name, "action": each.action, "why": each.why} for each in found.files
        ],
        "conflicts": found.conflicts,
    }
    if dry_run:
        show(found.diff().rstrip("\n"), data=data | {"diff": found.diff()}, as_json=as_json)
    else:
        found.write()
        show("\n".join(_told(found)), data=data, as_json=as_json)
    if found.conflicts:
        raise ConfigError(
            f"{', '.join(found.conflicts)} {'would have' if dry_run else 'has'} changes of yours "
            "and of the template in the same place.",
            hint="Nothing was written." if dry_run else "Decide in each, then run make test.",
        )


def _told(update: Update) -> list[str]:
    """Return what became of each file."""
    if not update.files:
        return [f"Everything is as in the template of sqlmodelkit {update.new.version}."]
    lines = [
        f"{each.action:<9} {each.name}{f' ({each.why})' if each.why else ''}"
        for each in update.files
    ]
    if not update.conflicts:
        lines += ["", "  git diff", "  make test"]
    return lines


def _setup() -> list[str]:
    """Return how the project gets this very package, where no index has what is installed.

    An active environment is what the project uses, so that nothing has to be said then.
    """
    source = installed_from()
    if source is None or os.environ.get("VIRTUAL_ENV") == sys.prefix:
        return []
    return [f"make setup SQLMODELKIT={shlex.quote(source)}"]
