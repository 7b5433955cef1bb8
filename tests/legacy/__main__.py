"""Reads awkward tables into models, and compares those with the database.

`python -m tests.legacy URL` in an empty directory; it prints what differs, as JSON.
"""

import asyncio
import json
import sys
import warnings
from pathlib import Path

from sqlalchemy.exc import SAWarning
from sqlalchemy.orm import configure_mappers

from sqlmodelkit import Database
from tests.chinook.__main__ import drift, read_models
from tests.chinook.database import run_script


async def main(url: str) -> list[str]:
    """Return what differs."""
    db = Database(url)
    await run_script(db, Path(__file__).parent)
    await read_models(db)
    configure_mappers()
    async with db.engine.connect() as connection:
        differences = await connection.run_sync(drift)
    await db.close()
    return differences


if __name__ == "__main__":
    warnings.simplefilter("error")
    # SQLAlchemy says that it reads expressions of indexes as text, and that tables form a ring.
    warnings.simplefilter("ignore", SAWarning)
    print(json.dumps(asyncio.run(main(sys.argv[1]))))  # noqa: T201
