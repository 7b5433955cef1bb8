"""What in a migration would hold up or break a live application, and the safe way.

Start at `lint`.
"""

import itertools
import json
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alembic import command
from alembic.script import Script
from sqlalchemy import Connection, event
from sqlalchemy.exc import DBAPIError, NoSuchTableError

from sqlmodelkit.errors import ConfigError

from .environment import connected, on_connection, scripts_of, speaking
from .place import Schema
from .rules import (
    CHECK_NOT_VALID,
    LITE,
    MY,
    OTHER_TYPE,
    PG,
    RULES,
    SAFE_WAYS,
    SQUAWK_LEFT_OUT,
    VALIDATED_AT_ONCE,
    Rule,
)
from .scratch import scratch
from .splitting import changes_of, outside_brackets, statements_of
from .states import current
from .telling import Told
from .writing import sql

_INNER_NAME = re.compile(r"^ALTER INDEX|\bRENAME CONSTRAINT\b", re.IGNORECASE)
_ELSE = "Deploy code that works with both first, and do it in a later release."
_COPY = "_alembic_tmp_"
_NEW = re.compile(r"^CREATE TABLE (?:IF NOT EXISTS )?[`\"]?(\w+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Finding:
    """A statement that hurts: in which migration, by which rule, why, and the safe way."""

    revision: str
    rule: str
    statement: str
    why: str
    safe: str


async def lint(schema: Schema, *, revisions: Sequence[str] | None = None) -> list[Finding]:
    """Look at migrations before a live database meets them.

    Args:
        schema: What the migrations are about; its database's kind says what hurts.
        revisions: Which ones; left out, those that the database has not yet.

    Raises:
        ConfigError: squawk is not installed; a migration cannot be written as SQL, or run.
    """
    scripts = scripts_of(schema)
    if revisions is None:
        revisions = [each.revision for each in (await current(schema)).pending]
    with speaking():
        chosen = list(map(scripts.get_revision, revisions))
    backend = schema.settings.engine_url().get_backend_name()
    dialect = MY if backend == "mariadb" else backend
    if dialect == PG and squawk() is None:
        raise ConfigError(
            "Migrations of PostgreSQL are looked at by squawk, which is not installed.",
            hint="Install sqlmodelkit[lint].",
        )
    if dialect == "sqlite":
        texts = await _recorded(schema, chosen)
    else:
        texts = {script.revision: _offline(schema, script) for script in chosen}
    return [
        finding
        for script in chosen
        for finding in findings(script, texts[script.revision], dialect)
    ]


def findings(script: Script, statements: Sequence[str], dialect: str) -> list[Finding]:
    """Return what hurts among the statements of a migration."""
    new = {found[1] for found in map(_NEW.match, statements) if found}
    # SQLite drops a table that it has copied; what is gone then, the migration itself tells.
    copied = {name.removeprefix(_COPY) for name in new if name.startswith(_COPY)}
    told = Told.by(Path(script.path), dialect)
    found: dict[tuple[str, str], Finding] = {}
    for statement in itertools.chain.from_iterable(map(changes_of, statements)):
        for rule in (*RULES, CHECK_NOT_VALID, OTHER_TYPE, VALIDATED_AT_ONCE):
            table = _table(rule, statement)
            skipped = table in new or (rule.name == "drop-table" and table in copied)
            if table is None or skipped or dialect not in rule.engines:
                continue
            if not _is_told(rule, statement, told) or _was_valid(rule, statement, statements):
                continue
            key = (rule.name, table if dialect == LITE else statement)
            found.setdefault(
                key, Finding(script.revision, rule.name, statement, rule.why, rule.safe)
            )
    if dialect == LITE:
        rule = next(each for each in RULES if each.name == "drop-column")
        for column in told.dropped:
            key = (rule.name, column)
            found[key] = Finding(script.revision, rule.name, column, rule.why, rule.safe)
    squawked = _squawked(script, statements, told) if dialect == PG else []
    return [*found.values(), *squawked]


def _is_told(rule: Rule, statement: str, told: Told) -> bool:
    """Tell whether what a statement repeats is also what the migration changes."""
    column = _column_of(statement)
    if rule is OTHER_TYPE:
        return told.types.get(column, False)
    return rule.name != "setting-not-null" or told.nulls.get(column, True)


def _table(rule: Rule, statement: str) -> str | None:
    """Return the table that a rule is broken on; None where it is not broken."""
    match = rule.pattern.match(outside_brackets(statement) if rule.outside else statement)
    table = (match.groupdict().get("table") or "").strip('`"') if match else "alembic_version"
    return None if table.startswith((_COPY, "alembic_version")) else table


def _was_valid(rule: Rule, statement: str, statements: Iterable[str]) -> bool:
    """Tell whether a constraint that is validated is one of an earlier migration."""
    found = rule.pattern.match(statement) if rule is VALIDATED_AT_ONCE else None
    if found is None:
        return False
    added = rf"ADD CONSTRAINT [`\"]?{found['constraint']}\b"
    return not any(re.search(added, each, re.IGNORECASE) for each in statements)


def _offline(schema: Schema, script: Script) -> list[str]:
    """Return the statements of a migration as it would run on a server."""
    follows = script.down_revision
    if follows is not None and not isinstance(follows, str):
        return []
    text = sql(schema, follows or "base", script.revision)
    return [each for each in statements_of(text) if "alembic_version" not in each]


async def _recorded(schema: Schema, chosen: Sequence[Script]) -> dict[str, list[str]]:
    """Run migrations on an empty SQLite database and note what they say to it.

    A table is rebuilt by what is found in the database, so there is no SQL without one.
    """
    texts: dict[str, list[str]] = {}
    wanted = {script.revision for script in chosen}
    async with scratch(schema.settings) as settings, connected(settings) as connection:
        heard: list[str] = []

        def hear(found: Connection, cursor: Any, statement: str, *rest: Any) -> None:
            heard.append(" ".join(statement.split()))

        event.listen(connection.sync_connection, "before_cursor_execute", hear)
        for script in reversed(list(scripts_of(schema).walk_revisions())):
            heard.clear()
            target = script.revision
            try:
                await on_connection(
                    connection,
                    lambda config: command.upgrade(config, target),  # noqa: B023
                    schema,
                )
            except NoSuchTableError as error:
                raise ConfigError(
                    f"Migration {target} changes the table {error}, "
                    "which no migration before it has made.",
                    hint="Write the migration of the tables that are there already on an empty "
                    "database, and stamp the database that has them.",
                ) from error
            except DBAPIError as error:
                raise ConfigError(
                    f"Migration {target} fails on an empty database: {error.orig}.",
                    hint="Correct it: new databases need it, too.",
                ) from error
            if target in wanted:
                texts[target] = [each for each in heard if "alembic_version" not in each]
    return texts


def _column_of(statement: str) -> str:
    found = re.search(
        r"(?:MODIFY (?:COLUMN )?|CHANGE (?:COLUMN )?|ALTER COLUMN )[`\"]?(\w+)",
        statement,
        re.IGNORECASE,
    )
    return found[1] if found else ""


def squawk() -> str | None:
    """Return where squawk is, or None when it is not installed."""
    beside = Path(sysconfig.get_path("scripts")) / "squawk"
    return str(beside) if beside.exists() else shutil.which("squawk")


def _squawked(script: Script, statements: Sequence[str], told: Told) -> Iterable[Finding]:
    program = squawk()
    if program is None or not statements:
        return
    text = ";\n".join(statements) + ";\n"
    done = subprocess.run(  # noqa: S603 - a program of our own extra
        [program, "--reporter", "json"], input=text, capture_output=True, text=True, check=False
    )
    for each in json.loads(done.stdout or "[]"):
        rule = str(each["rule_name"])
        statement = str(statements[min(each["line"], len(statements) - 1)])
        harmless = (
            rule == OTHER_TYPE.name and not told.types.get(_column_of(statement), True)
        ) or (rule == "renaming-object" and _INNER_NAME.search(statement))
        if rule not in SQUAWK_LEFT_OUT and not harmless:
            safe = SAFE_WAYS.get(rule) or str(each.get("help") or _ELSE)
            yield Finding(script.revision, rule, statement, str(each["message"]), safe)
