"""`sqlmodelkit db …` for migrations that run: upgrade, downgrade, current, history, seed, reset.

Start at `upgrade`.
"""

import asyncio
from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Any

import typer

from sqlmodelkit import ConfigError
from sqlmodelkit import migrations as kit
from sqlmodelkit.migrations.resetting import is_for_development, names_of
from sqlmodelkit.migrations.resetting import reset as begin_anew
from sqlmodelkit.migrations.resetting import seed as fill_with
from sqlmodelkit.projects import find_object, find_project

from .db import UrlOption, app
from .migrating import schema_here, unknown_told
from .output import JsonFlag, examples, show

LockTimeout = Annotated[
    float, typer.Option(help="The most seconds to wait for a table; then it is tried again.")
]
Attempts = Annotated[int, typer.Option(help="How often a migration is tried.")]
Wait = Annotated[
    float | None, typer.Option(help="The most seconds to wait for another process that migrates.")
]


def _progress(as_json: bool) -> kit.Progress:
    def told(step: kit.Step) -> None:
        word = "applied" if step.up else "undone"
        typer.echo(f"{step.revision} {word}: {step.message} ({step.seconds:.1f} s)", err=as_json)

    return told


@app.command(epilog=examples("sqlmodelkit db upgrade", "sqlmodelkit db upgrade +1"))
def upgrade(
    target: Annotated[str, typer.Argument(help="A revision, +1, or heads.")] = "heads",
    *,
    lock_timeout: LockTimeout = 5.0,
    attempts: Attempts = 10,
    wait: Wait = None,
    url: UrlOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Run the migrations that the database lacks.

    Once, however many processes start together: the others wait and see that nothing is left.
    """
    steps = asyncio.run(
        kit.upgrade(
            schema_here(url),
            target,
            lock_timeout=lock_timeout,
            attempts=attempts,
            wait=wait,
            progress=_progress(as_json),
        )
    )
    text = f"{len(steps)} applied." if steps else "Nothing to do: all migrations are applied."
    show(text, data=[asdict(step) for step in steps], as_json=as_json)


@app.command(epilog=examples("sqlmodelkit db downgrade -1", "sqlmodelkit db downgrade base"),
             context_settings={"ignore_unknown_options": True})  # fmt: skip
def downgrade(
    target: Annotated[str, typer.Argument(help="A revision, -1, or base.")],
    *,
    lock_timeout: LockTimeout = 5.0,
    attempts: Attempts = 10,
    wait: Wait = None,
    url: UrlOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Undo migrations.

    What they added is lost with what is in it.
    """
    steps = asyncio.run(
        kit.downgrade(
            schema_here(url),
            target,
            lock_timeout=lock_timeout,
            attempts=attempts,
            wait=wait,
            progress=_progress(as_json),
        )
    )
    data = [asdict(step) for step in steps]
    show(f"{len(steps)} undone." if steps else "Nothing to undo.", data=data, as_json=as_json)


@app.command(epilog=examples("sqlmodelkit db current", "sqlmodelkit db current --json"))
def current(url: UrlOption = None, as_json: JsonFlag = False) -> None:
    """Say where the database is: 1 when migrations are left."""
    state = asyncio.run(kit.current(schema_here(url)))
    at = ", ".join(state.current) or "before the first migration"
    lines = [f"{at}{' (newest)' if state.at_head else ''}"]
    lines += [f"not applied: {each.revision} {each.message}" for each in state.pending]
    lines += [unknown_told(state.unknown)] if state.unknown else []
    show("\n".join(lines), data=asdict(state), as_json=as_json)
    if not state.at_head:
        raise typer.Exit(1)


def _told(each: kit.Revision) -> str:
    mark = {True: "applied", False: "not applied", None: ""}[each.applied]
    follows = f" after {', '.join(each.follows)}" if each.follows else ""
    return f"{each.revision} {each.message}{follows} {mark}".rstrip()


@app.command(epilog=examples("sqlmodelkit db history"))
def history(url: UrlOption = None, as_json: JsonFlag = False) -> None:
    """List all migrations, the newest first."""
    found = asyncio.run(kit.history(schema_here(url)))
    text = "\n".join(map(_told, found)) or "There are no migrations."
    show(text, data=[asdict(each) for each in found], as_json=as_json)


@app.command(epilog=examples("sqlmodelkit db heads"))
def heads(as_json: JsonFlag = False) -> None:
    """List the newest migrations: 1 when there are several."""
    found = kit.heads(schema_here(None))
    text = "\n".join(map(_told, found)) or "There are no migrations."
    show(text, data=[asdict(each) for each in found], as_json=as_json)
    if len(found) > 1:
        raise typer.Exit(1)


@app.command(epilog=examples("sqlmodelkit db merge", "sqlmodelkit db merge 'heroes and teams'"))
def merge(
    message: Annotated[str, typer.Argument(help="What it says of itself.")] = "merge",
    as_json: JsonFlag = False,
) -> None:
    """Write a migration that follows all heads."""
    found = kit.merge(schema_here(None), message=message)
    show(_told(found), data=asdict(found), as_json=as_json)


@app.command(epilog=examples("sqlmodelkit db stamp", "sqlmodelkit db stamp 3fa1b2c4d5e6"))
def stamp(
    target: Annotated[str, typer.Argument(help="A revision, heads, or base.")] = "heads",
    *,
    url: UrlOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Note a revision in the database, and run nothing."""
    schema = schema_here(url)
    asyncio.run(kit.stamp(schema, target))
    state = asyncio.run(kit.current(schema))
    at = ", ".join(state.current) or "before the first migration"
    show(f"The database says now: {at}", data=asdict(state), as_json=as_json)


@app.command(epilog=examples("sqlmodelkit db seed"))
def seed(url: UrlOption = None, as_json: JsonFlag = False) -> None:
    """Fill the database by the project's own function.

    pyproject.toml names it: [tool.sqlmodelkit] seed = "app.seed:seed".
    """
    settings = schema_here(url).settings
    result = asyncio.run(fill_with(settings, _seed()))
    text = "Done." if result is None else f"Done: {result}"
    show(text, data={"result": result}, as_json=as_json)


def _seed() -> Any:
    address = find_project().seed
    if address is None:
        raise ConfigError(
            "No function is named that fills the database.",
            hint='Write [tool.sqlmodelkit] seed = "app.seed:seed": an async function that takes '
            "the session.",
        )
    function: Callable[..., Any] = find_object(address, object)  # type: ignore[assignment]
    return function


@app.command(epilog=examples("sqlmodelkit db reset", "sqlmodelkit db reset --yes app.db"))
def reset(
    *,
    yes: Annotated[
        str | None, typer.Option(help="The database's name, in place of being asked.")
    ] = None,
    url: UrlOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Drop every table and view, migrate and seed anew.

    It asks first, and empties a database of another machine only when --yes names it.
    """
    schema = schema_here(url)
    name = names_of(schema.settings)[-1]
    if yes is None:
        if not is_for_development(schema.settings):
            raise ConfigError(
                f"{name} is on another machine: it is emptied only when it is named.",
                hint=f"Say --yes {name}, if you are sure.",
            )
        typer.confirm(f"Drop every table of {name}, with all rows?", abort=True, err=True)
    steps = asyncio.run(begin_anew(schema, name=yes or name))
    result = asyncio.run(fill_with(schema.settings, _seed())) if find_project().seed else None
    data = {"applied": [asdict(step) for step in steps], "seeded": result}
    show(f"{name} is new: {len(steps)} migrations applied.", data=data, as_json=as_json)
