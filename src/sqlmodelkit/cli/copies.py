"""`sqlmodelkit db backup` and `restore`: copies of the database by its own tools.

Start at `backup`.
"""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from sqlmodelkit import DatabaseSettings, backups

from .db import UrlOption, settings_of
from .output import JsonFlag, show


def backup(
    path: Annotated[
        Path | None, typer.Argument(help="The file; left out, one named by the time.")
    ] = None,
    *,
    url: UrlOption = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a file that is there.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Copy the whole database into a file, while others go on using it."""
    settings = settings_of(url)
    made = asyncio.run(
        backups.backup(path or _named(settings), settings=settings, overwrite=overwrite)
    )
    rows = sum(most for _, most in made.rows.values())
    show(
        f"{made.path}: {len(made.rows)} tables, {rows} rows, {made.size} bytes",
        data={
            "path": str(made.path),
            "dialect": made.dialect,
            "size": made.size,
            "seconds": round(made.seconds, 3),
            "rows": made.rows,
        },
        as_json=as_json,
    )


def restore(
    path: Annotated[Path, typer.Argument(help="What `db backup` has written.")],
    *,
    url: UrlOption = None,
    verify: Annotated[
        bool,
        typer.Option("--verify", help="Only try it, in a scratch database, and count the rows."),
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace the tables that are there.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Bring a copy back, or prove that it could be."""
    settings = settings_of(url)
    if verify:
        found = asyncio.run(backups.verify(path, settings=settings))
    else:
        found = asyncio.run(backups.restore(path, settings=settings, replace=replace))
    rows = sum(found.rows.values())
    done = "can be restored" if verify else "is restored"
    but = "" if found.is_whole else f", but it differs from the {found.compared_with}"
    lines = [f"{path} {done}: {len(found.rows)} tables, {rows} rows{but}"]
    lines += [str(difference) for difference in found.differences]
    show(
        "\n".join(lines),
        data={
            "whole": found.is_whole,
            "compared_with": found.compared_with,
            "seconds": round(found.seconds, 3),
            "rows": found.rows,
            "differences": [str(difference) for difference in found.differences],
        },
        as_json=as_json,
    )
    if not found.is_whole:
        raise typer.Exit(1)


def _named(settings: DatabaseSettings) -> Path:
    url = settings.engine_url()
    ends = {"sqlite": "db", "postgresql": "dump"}
    name = Path(url.database or "database").stem
    now = datetime.now(UTC).strftime("%Y%m%d-%H%M%S")
    return Path(f"{name}-{now}.{ends.get(url.get_backend_name(), 'sql')}")
