"""What `env.py` calls, for one of our commands or for Alembic's own.

Start at `run_environment`.
"""

import asyncio
from dataclasses import replace
from pathlib import Path

from alembic import context

from sqlmodelkit.projects import find_project

from .asking import Asked
from .environment import RUN, Run, configured, connected
from .place import Schema
from .revising import Draft


def run_environment() -> None:
    """Run what Alembic was asked for: called by the `env.py` that `init` writes.

    The models and the database are those of the project that the directory belongs to, unless
    the call came from one of our own commands, which knows them. What Alembic's own command
    generates loses nothing either: nobody can be asked there, so it is refused.

    Raises:
        ConfigError: The project does not say where the application is, has no tables, or a table
            or column would go away.
    """
    run: Run | None = context.config.attributes.get(RUN)
    if run is not None:
        configured(run)
        return
    location = context.config.get_alembic_option("script_location")
    schema = Schema.of(find_project(Path(location or ".")))
    draft = Draft(schema, Asked((), {}, {}))
    run = Run(schema, options={"process_revision_directives": draft.shape})
    if context.is_offline_mode():
        configured(run)
    else:
        asyncio.run(_online(run))


async def _online(run: Run) -> None:
    async with connected(run.schema.settings) as connection:
        await connection.run_sync(lambda sync: configured(replace(run, connection=sync)))
