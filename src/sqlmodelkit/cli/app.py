"""The commands together, and how a run of one ends.

Start at `main`: 0 is done, 1 is a failure that is told on stderr, 2 is a mistake in the call.
"""

import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from sqlmodelkit import SQLModelKitError
from sqlmodelkit.projects import root_of

from . import add, copies, db, existing, explain, health, migrating, new, upgrading
from .output import complain, examples, remarking, replying

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
    given = list(sys.argv[1:] if arguments is None else arguments)
    with remarking():
        if "--json" in given and "--help" not in given:
            return _for_programs(given)
        return _for_people(given)


def _for_people(given: list[str]) -> int:
    try:
        app(given, prog_name="sqlmodelkit")
    except SQLModelKitError as error:
        complain(error)
        return 1
    except SystemExit as end:
        return _status(end.code)
    return 0


def _for_programs(given: list[str]) -> int:
    """Run a command for a program: it gets JSON on stdout, also when the command fails."""
    with replying() as reply:
        try:
            return _status(app(given, prog_name="sqlmodelkit", standalone_mode=False))
        except SQLModelKitError as error:
            complain(error)
            reply.fail(error.message, hint=error.hint, kind=type(error).__name__)
        except typer.Abort:
            typer.echo("Aborted!", err=True)
            reply.fail("Aborted!", kind="Abort")
        except SystemExit as end:
            return _status(end.code)
        except Exception as error:
            # A mistake in the call; its class is one of typer's private ones.
            mistake: Any = error
            if not hasattr(mistake, "format_message"):
                reply.fail(f"{type(error).__name__}: {error}", kind=type(error).__name__)
                raise
            mistake.show()
            reply.fail(mistake.format_message(), hint="See --help.", kind="UsageError")
            return _status(mistake.exit_code)
    return 1


def _status(code: object) -> int:
    if code is None:
        return 0
    return code if isinstance(code, int) else 1
