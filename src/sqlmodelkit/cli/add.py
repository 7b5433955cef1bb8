"""`sqlmodelkit add …`: parts of an application, written into a project.

Start at `resource` and `schemas`.
"""

import subprocess
import sys
from typing import Annotated

import typer

from sqlmodelkit import ConfigError
from sqlmodelkit.projects import Project, find_project
from sqlmodelkit.scaffold.resources import add_resource
from sqlmodelkit.scaffold.schemas import add_schemas

from .output import JsonFlag, examples, show

app = typer.Typer(help="Parts of an application, written for you.", no_args_is_help=True)

DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the changes as a patch only.")]

_MIGRATE = """
import asyncio, sys, tempfile
from dataclasses import replace
from pathlib import Path
from sqlmodelkit import DatabaseSettings, SQLModelKitError
from sqlmodelkit.migrations import Schema, revision, upgrade
from sqlmodelkit.projects import find_project

async def write(directory):
    settings = DatabaseSettings(url=f"sqlite:///{directory}/empty.db")
    schema = Schema.of(find_project(), settings=settings)
    await upgrade(schema)
    return await revision(schema, sys.argv[1])

with tempfile.TemporaryDirectory() as directory:
    try:
        written = asyncio.run(write(directory))
    except SQLModelKitError as error:
        sys.exit(str(error))
print(written.path if written else "")
"""


@app.command(
    epilog=examples(
        "sqlmodelkit add resource Power name:str:unique",
        "sqlmodelkit add resource Villain name:str age:int? team:Team powers:Power[]",
        "sqlmodelkit add resource Story title:str body:text? --plural stories --dry-run",
    )
)
def resource(
    name: Annotated[str, typer.Argument(help="The class of the table, as Hero.")],
    fields: Annotated[
        list[str],
        typer.Argument(help="name:str:unique, age:int?, team:Team, powers:Power[] and the like."),
    ],
    *,
    plural: Annotated[str | None, typer.Option(help="As heroes; otherwise guessed.")] = None,
    public: Annotated[bool, typer.Option("--public", help="Let everybody write.")] = False,
    dry_run: DryRun = False,
    as_json: JsonFlag = False,
) -> None:
    """Add a table with schemas, service, router, test and migration."""
    project = find_project()
    changes = add_resource(project, name, fields, many=plural, public=public)
    if dry_run:
        show(changes.diff(), data={"diff": changes.diff()}, as_json=as_json)
        return
    written = [str(path.relative_to(project.root)) for path in changes.write()]
    migration = _migration(project, f"add {name.lower()}")
    if migration:
        written.append(migration)
    show("\n".join(written), data={"files": written}, as_json=as_json)


@app.command(
    epilog=examples(
        "sqlmodelkit add schemas app.models:Hero",
        "sqlmodelkit add schemas app.models.heroes:Hero --dry-run",
    )
)
def schemas(
    address: Annotated[str, typer.Argument(help="The table, as app.models:Hero.")],
    *,
    dry_run: DryRun = False,
    as_json: JsonFlag = False,
) -> None:
    """Add what clients send and see of a table that is there: Create, Update, Brief, Public."""
    found = add_schemas(find_project(), address)
    if dry_run:
        show(found.changes.diff(), data={"diff": found.changes.diff()}, as_json=as_json)
        return
    found.changes.write()
    lines = [f"{found.file}: {', '.join(found.added) or 'nothing is missing'}"]
    if found.kept:
        is_there = "is there already and stays as it is"
        are_there = "are there already and stay as they are"
        lines.append(f"{', '.join(found.kept)} {is_there if len(found.kept) == 1 else are_there}.")
    lines += found.notes
    data = {key: getattr(found, key) for key in ("file", "added", "kept", "notes")}
    show("\n".join(lines), data=data, as_json=as_json)


def _migration(project: Project, message: str) -> str | None:
    """Write the migration in a process of its own, which knows the new tables."""
    if not (project.migrations / "env.py").is_file():
        return None
    done = subprocess.run(  # noqa: S603 - this very Python
        [sys.executable, "-c", _MIGRATE, message],
        cwd=project.root,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ConfigError(
            f"The migration was not written: {done.stderr.strip()}",
            hint="All other files are there; run sqlmodelkit db revision when it is mended.",
        )
    return done.stdout.strip().removeprefix(f"{project.root}/") or None
