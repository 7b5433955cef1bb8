"""`sqlmodelkit db …`: the database and its schema.

Start at `ping`.
"""

import asyncio
import time
from typing import Annotated

import typer

from sqlmodelkit import Database, DatabaseSettings, ServerInfo
from sqlmodelkit.projects import settings_here

from .output import JsonFlag, examples, show

app = typer.Typer(help="The database and its schema.", no_args_is_help=True)

UrlOption = Annotated[
    str | None,
    typer.Option("--url", help="Another address than the project's DATABASE_URL."),
]


@app.command(
    epilog=examples("sqlmodelkit db ping", "sqlmodelkit db ping --url postgresql://127.0.0.1/app")
)
def ping(url: UrlOption = None, as_json: JsonFlag = False) -> None:
    """Connect to the database and say which server answers."""
    settings = settings_of(url)
    start = time.perf_counter()
    server = asyncio.run(_ping(settings))
    milliseconds = round((time.perf_counter() - start) * 1000, 1)
    address = settings.engine_url().render_as_string(hide_password=True)
    show(
        f"{server.dialect} {server.version} answers at {address}",
        data={
            "dialect": server.dialect,
            "version": server.version,
            "url": address,
            "milliseconds": milliseconds,
        },
        as_json=as_json,
    )


def settings_of(url: str | None) -> DatabaseSettings:
    """Return the settings of an address, or those of the project."""
    return settings_here() if url is None else DatabaseSettings(url=url)


async def _ping(settings: DatabaseSettings) -> ServerInfo:
    db = Database(settings=settings)
    try:
        return await db.ping()
    finally:
        await db.close()
