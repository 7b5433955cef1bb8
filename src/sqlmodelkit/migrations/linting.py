"""What in a migration would hold up or break a live application, and the safe way.

Start at `lint`.
"""

import ast
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

from sqlmodelkit.errors import ConfigError

from .environment import connected, on_connection, scripts_of
from .place import Schema
from .rules import CHECK_NOT_VALID, MY, PG, RULES, SAFE_WAYS, SQUAWK_LEFT_OUT, Rule
from .scratch import scratch
from .states import current
from .writing import sql

_LENGTH = re.compile(r"(?:String|VARCHAR|Unicode)\((?:length=)?(\d+)?\)|\bText\(\)|\bTEXT\(\)")
_MYSQL_SHORT = 63
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
    retyped = _retyped(Path(script.path), dialect)
    found: list[Finding] = []
    for statement in statements:
        rules = [*RULES, *([CHECK_NOT_VALID] if dialect == PG else [])]
        found += [
            Finding(script.revision, rule.name, statement, rule.why, rule.safe)
            for rule in rules
            if dialect in rule.engines and _hurts(rule, statement, new)
        ]
        if dialect == MY and (column := _column_of(statement)) in retyped and retyped[column]:
            found.append(
                Finding(
                    script.revision,
                    "changing-column-type",
                    statement,
                    "The table is copied, and nobody can write to it meanwhile.",
                    "Add a column of the new type beside it, write both, copy, drop the old one.",
                )
            )
    if dialect == PG:
        found += _squawked(script, statements, new, retyped)
    return found


def _hurts(rule: Rule, statement: str, new: set[str]) -> bool:
    match = rule.pattern.match(statement)
    if match is None:
        return False
    table = (match.groupdict().get("table") or "").strip('`"')
    return table not in new and not table.startswith(("_alembic_tmp_", "alembic_version"))


def _offline(schema: Schema, script: Script) -> list[str]:
    """Return the statements of a migration as it would run on a server."""
    follows = script.down_revision
    if follows is not None and not isinstance(follows, str):
        return []
    text = sql(schema, follows or "base", script.revision)
    text = re.sub(r"^--.*$", "", text, flags=re.MULTILINE)
    parts = (" ".join(part.split()) for part in re.split(r";\s*\n", text))
    return [part for part in parts if part and "alembic_version" not in part]


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
            await on_connection(connection, lambda config: command.upgrade(config, target), schema)  # noqa: B023
            if target in wanted:
                texts[target] = [each for each in heard if "alembic_version" not in each]
    return texts


def _retyped(path: Path, dialect: str) -> dict[str, bool]:
    """Return the columns whose type a migration changes, and whether that rewrites the table."""
    found: dict[str, bool] = {}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not (isinstance(node, ast.FunctionDef) and node.name == "upgrade"):
            continue
        for call in ast.walk(node):
            if not isinstance(call, ast.Call):
                continue
            name = getattr(call.func, "attr", getattr(call.func, "id", ""))
            if name not in ("alter_column", "ChangeType"):
                continue
            words = [a.value for a in call.args if isinstance(a, ast.Constant)]
            types = {each.arg: ast.unparse(each.value) for each in call.keywords}
            new = types.get("type_") or (
                ast.unparse(call.args[2]) if name == "ChangeType" else None
            )
            if new is not None and words:
                old = types.get("existing_type", "")
                found[str(words[-1])] = not _only_longer(old, new, dialect)
    return found


def _only_longer(old: str, new: str, dialect: str) -> bool:
    before, after = _LENGTH.search(old), _LENGTH.search(new)
    if before is None or after is None or before[1] is None:
        return False
    if after[1] is None:
        return dialect == PG
    grows = int(before[1]) <= int(after[1])
    same_bytes = (int(before[1]) > _MYSQL_SHORT) == (int(after[1]) > _MYSQL_SHORT)
    return grows and (dialect != MY or same_bytes)


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


def _squawked(
    script: Script, statements: Sequence[str], new: set[str], retyped: dict[str, bool]
) -> list[Finding]:
    program = squawk()
    if program is None or not statements:
        return []
    text = ";\n".join(statements) + ";\n"
    done = subprocess.run(  # noqa: S603 - a program of our own extra
        [program, "--reporter", "json"], input=text, capture_output=True, text=True, check=False
    )
    return list(_told(json.loads(done.stdout or "[]"), script, statements, retyped))


def _told(
    reports: Iterable[dict[str, Any]],
    script: Script,
    statements: Sequence[str],
    retyped: dict[str, bool],
) -> Iterable[Finding]:
    for each in reports:
        rule = each["rule_name"]
        line = min(each["line"], len(statements) - 1)
        statement = str(statements[line])
        harmless = rule == "changing-column-type" and not retyped.get(_column_of(statement), True)
        if rule in SQUAWK_LEFT_OUT or harmless:
            continue
        safe = SAFE_WAYS.get(rule) or each.get("help") or ""
        yield Finding(script.revision, rule, statement, each["message"], safe)
