"""A contender on SQLite with a count of its statements, for one run only."""

import importlib
import os
import sqlite3
from typing import Any

from fastapi import FastAPI

from . import COUNT_PATH

statements = 0
_connect = sqlite3.connect


def _count(statement: str) -> None:
    global statements  # noqa: PLW0603 - SQLite calls it in the threads of its connections
    statements += 1


def _traced(*arguments: Any, **options: Any) -> sqlite3.Connection:
    connection: sqlite3.Connection = _connect(*arguments, **options)
    connection.set_trace_callback(_count)
    return connection


sqlite3.connect = _traced  # type: ignore[assignment]
app: FastAPI = importlib.import_module(os.environ["BENCHMARK_TRACED"]).app


@app.get(COUNT_PATH)
async def count() -> int:
    return statements
