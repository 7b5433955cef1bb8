"""The commands together, and how a run of one ends.

Start at `main`: 0 is done, 1 is a failure that is told on stderr, 2 is a mistake in the call.
"""

import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from sqlmodelkit import SQLModelKitError
from sqlmodelkit.projects import root_of

from . import add, copies, db, existing, explain, health, migrating, new, upgrading
from .output import complain, examples

app = typer.Typer(
    name="sqlmodelkit",
    help="The command line of sqlmodelkit: the database layer for FastAPI on SQLModel.",
    epilog="A command that needs your application finds it by [tool.sqlmodelkit] or "
    "[tool.fastapi] in pyproject.toml, here or in a directory above.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command(
    epilog=examples(
        "sqlmodelkit new hero-api",
        "sqlmodelkit new hero-api --database postgresql",
        "sqlmodelkit new --update --dry-run",
    )
)(new.new)
app.add_typer(add.app, name="add")
app.add_typer(db.app, name="db")
DATABASE_COMMANDS = (migrating, upgrading)
"""Modules that add to `db` as they are imported."""

app.command(
    epilog=examples(
        "sqlmodelkit explain app.heroes:HeroService",
        "sqlmodelkit explain app.heroes:HeroService app.heroes:HeroDetail",
        "sqlmodelkit explain app.heroes:HeroService age__gte=20 --sort=-age --database",
        'sqlmodelkit explain GET "/heroes?age__gte=20&sort=-age"',
    )
)(explain.explain)
app.command(epilog=examples("sqlmodelkit doctor", "sqlmodelkit doctor --workers 4 --json"))(
    health.doctor
)
app.command(
    "pool-size",
    epilog=examples("sqlmodelkit pool-size --rps 300 --latency 20 --workers 4 --server 100"),
)(health.pool_size)
db.app.command(epilog=examples("sqlmodelkit db backup", "sqlmodelkit db backup shop.dump"))(
    copies.backup
)
db.app.command(
    epilog=examples(
        "sqlmodelkit db restore shop.dump --verify", "sqlmodelkit db restore shop.dump --replace"
    )
)(copies.restore)
db.app.command(
    epilog=examples(
        "sqlmodelkit db inspect --url postgresql://127.0.0.1/shop --schemas -o models.py",
        "sqlmodelkit db inspect --only customer --only invoice",
    )
)(existing.inspect)
db.app.command(epilog=examples("sqlmodelkit db diagram", "sqlmodelkit db diagram docs/tables.svg"))(
    existing.diagram
)
db.app.command(epilog=examples("sqlmodelkit db shell"))(existing.shell)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sqlmodelkit {version('sqlmodelkit')}")
        raise typer.Exit


@app.callback()
def options(
    show_version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Take the options that belong to no command."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    # As with `python -m`, what lies in the current directory can be named, or in the project's.
    here = Path.cwd()
    sys.path[:0] = dict.fromkeys([str(here), str(root_of(here) or here)])
    app.rich_markup_mode = "rich" if sys.stdout.isatty() else None
    try:
        app(None if arguments is None else list(arguments), prog_name="sqlmodelkit")
    except SQLModelKitError as error:
        complain(error)
        return 1
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0
