"""`sqlmodelkit db …` for migrations that are written: init, revision, check, lint, sql.

Start at `revision`. What runs them is in `running`.
"""

import asyncio
from collections.abc import Collection
from dataclasses import asdict
from typing import Annotated

import typer

from sqlmodelkit import ConfigError, DatabaseSettings, SQLModelKitError
from sqlmodelkit import migrations as kit
from sqlmodelkit.migrations.linting import squawk
from sqlmodelkit.projects import FILE, find_project

from .db import UrlOption, app
from .output import JsonFlag, examples, show


def schema_here(url: str | None) -> kit.Schema:
    """Return what the project's migrations are about.

    Raises:
        ConfigError: There is no project, or no table in it.
    """
    settings = None if url is None else DatabaseSettings(url=url)
    return kit.Schema.of(find_project(), settings=settings)


def unknown_told(revisions: Collection[str]) -> str:
    """Return what to do about revisions that the database has and the project has not."""
    return (
        f"{', '.join(revisions)}, which is not among the migrations: newer code has run it. "
        "Bring its file here; if it is lost, sqlmodelkit db stamp forgets it."
    )


def _pairs(option: str, given: list[str] | None) -> dict[str, str]:
    pairs = {}
    for each in given or ():
        mark = ":" if option == "rename" else "="
        name, found, value = each.partition(mark)
        if not found:
            raise ConfigError(
                f"--{option} {each} cannot be read.", hint=f"Write it as hero.name{mark}title."
            )
        pairs[name] = value
    return pairs


def lines_of(findings: list[kit.Finding]) -> list[str]:
    """Return findings for people, the statement and the safe way in a line each."""
    lines = []
    for each in findings:
        lines += [f"{each.revision} {each.rule}: {each.why}", f"  {each.statement}"]
        lines += [f"  Safe: {each.safe}"] if each.safe else []
    return lines


@app.command(epilog=examples("sqlmodelkit db init"))
def init(as_json: JsonFlag = False) -> None:
    """Make the directory of migrations."""
    project = find_project()
    pyproject = project.root / FILE
    written = [
        path.relative_to(project.root).as_posix()
        for path in kit.init(project.migrations, pyproject=pyproject)
    ]
    lines = [f"Wrote {name}" for name in written]
    lines += ["", "Next: sqlmodelkit db revision 'first tables'"]
    show("\n".join(lines), data={"files": written}, as_json=as_json)


@app.command(
    epilog=examples(
        "sqlmodelkit db revision 'add ranks'",
        "sqlmodelkit db revision 'heroes have titles' --rename hero.name:title",
        "sqlmodelkit db revision 'no notes' --drop hero.note",
        "sqlmodelkit db revision 'every hero has an age' --fill hero.age=18",
    )
)
def revision(  # noqa: PLR0913 - the arguments of a command
    message: Annotated[str, typer.Argument(help="What it does, in a few words.")],
    *,
    drop: Annotated[
        list[str] | None,
        typer.Option(help="A table or column that may go away with what is in it."),
    ] = None,
    rename: Annotated[
        list[str] | None, typer.Option(help="Another name, as hero.name:title or hero:person.")
    ] = None,
    fill: Annotated[
        list[str] | None,
        typer.Option(help="What a column holds where it had nothing, as hero.age=18."),
    ] = None,
    empty: Annotated[bool, typer.Option("--empty", help="Without steps, for your own.")] = False,
    url: UrlOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Write a migration from models, and look at it."""
    schema = schema_here(url)
    written = asyncio.run(
        kit.revision(
            schema,
            message,
            drop=drop or (),
            rename=_pairs("rename", rename),
            fill=_pairs("fill", fill),
            empty=empty,
        )
    )
    if written is None:
        show("Nothing to do: the database is as the models say.", data=None, as_json=as_json)
        return
    place = written.path
    root = find_project().root
    name = place.relative_to(root).as_posix() if place.is_relative_to(root) else str(place)
    findings, told = _linted(schema, written.revision)
    lines = [f"Wrote {name}"]
    if written.notes:
        width = max(len(note.about) for note in written.notes)
        lines += ["", "Look at:", *(f"  {n.about:{width}}  {n.text}" for n in written.notes)]
    lines += ["", *told]
    data = {
        "path": name,
        "revision": written.revision,
        "notes": [asdict(note) for note in written.notes],
        "findings": [asdict(each) for each in findings],
    }
    show("\n".join(lines), data=data, as_json=as_json)


def _linted(schema: kit.Schema, name: str) -> tuple[list[kit.Finding], list[str]]:
    if schema.settings.engine_url().get_backend_name() == "postgresql" and squawk() is None:
        return [], ["Lint: install sqlmodelkit[lint] to have it looked at."]
    try:
        findings = asyncio.run(kit.lint(schema, revisions=[name]))
    except SQLModelKitError as error:
        # It is written all the same.
        return [], [f"Lint: it could not be looked at. {error}"]
    if not findings:
        return [], ["Lint: nothing that holds up or breaks a live application."]
    return findings, ["Lint, for a live application:", *(f"  {e}" for e in lines_of(findings))]


@app.command(
    epilog=examples(
        "sqlmodelkit db lint",
        "sqlmodelkit db lint 3fa1b2c4d5e6 --url postgresql://127.0.0.1/shop",
    )
)
def lint(
    revisions: Annotated[
        list[str] | None, typer.Argument(help="Which; left out, those that are not applied yet.")
    ] = None,
    *,
    url: UrlOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Find what hurts a live application; 1 when there is any."""
    schema = schema_here(url)
    findings = asyncio.run(kit.lint(schema, revisions=revisions or None))
    text = "\n".join(lines_of(findings)) or "Nothing that holds up or breaks a live application."
    show(text, data=[asdict(each) for each in findings], as_json=as_json)
    if findings:
        raise typer.Exit(1)


@app.command(epilog=examples("sqlmodelkit db check", "sqlmodelkit db check --fast --json"))
def check(
    *,
    fast: Annotated[
        bool, typer.Option("--fast", help="Do not try the migrations on an empty database.")
    ] = False,
    url: UrlOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Compare models, database and migrations: 1 when they differ."""
    drift = asyncio.run(kit.check(schema_here(url), migrations=not fast))
    lines = []
    if drift.heads:
        lines.append(f"Several heads: {', '.join(drift.heads)}. Run sqlmodelkit db merge.")
    if drift.unknown:
        lines.append(f"The database is at {unknown_told(drift.unknown)}")
    if drift.pending:
        lines.append(f"Not applied: {', '.join(drift.pending)}. Run sqlmodelkit db upgrade.")
    for place, notes in (("database", drift.database), ("migrations", drift.migrations or ())):
        if notes:
            lines.append(f"The {place} would need this to be what the models say:")
            lines += [f"  {note.about}: {note.text}" for note in notes if note.about != "downgrade"]
    text = "\n".join(lines) or "Models, migrations and database agree."
    show(text, data=asdict(drift), as_json=as_json)
    if drift:
        raise typer.Exit(1)


@app.command(epilog=examples("sqlmodelkit db sql", "sqlmodelkit db sql 3fa1b2c4d5e6:heads"))
def sql(
    revisions: Annotated[
        str, typer.Argument(help="From which to which.", metavar="FROM:TO")
    ] = "base:heads",
    *,
    down: Annotated[bool, typer.Option("--down", help="The way back.")] = False,
    url: UrlOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Print the SQL of migrations, without any database."""
    start, _, end = revisions.partition(":")
    text = kit.sql(schema_here(url), start, end or "heads", down=down).strip()
    show(text, data={"sql": text}, as_json=as_json)
