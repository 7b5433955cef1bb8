"""Checks that read the source."""

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path

from .findings import Seen, Subject
from .literals import is_secret, secrets_in

_URL = re.compile(
    r"\b(?:postgres(?:ql)?|mysql|mariadb|redis|amqp)(?:\+\w+)?://[^\s:/@'\"]+:([^\s@'\"]+)@([\w.-]+)"
)
_SUFFIXES = {".py", ".toml", ".ini", ".cfg", ".yml", ".yaml", ".json", ".env", ".pem", ".key"}
_NOT_OURS = {"node_modules", "__pycache__", "tests", "test"}
_HERE = {
    "localhost",
    "127.0.0.1",
    "db",
    "database",
    "postgres",
    "mariadb",
    "mysql",
    "redis",
    "host",
}
_PLACEHOLDERS = re.compile(
    r"^(?:\$|\{|<|%|\*|x+$|\.\.\.|…|password$|secret$|pass$|changeme$)", re.IGNORECASE
)
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----$")
_ADDRESS = "Put the address into the environment as DATABASE_URL, and change the password."
_MAKERS = {"AsyncSession", "Session", "async_sessionmaker", "sessionmaker"}
_PRIVATE = {".env", ".env.local"}
_MOST_BYTES = 1_000_000


def credentials(subject: Subject) -> Seen:
    """Look for passwords, keys and tokens that stand in files of the project."""
    if subject.root is None:
        return Seen(skipped="the source is not known")
    problems = []
    for path in _files(subject.root, _SUFFIXES):
        if path.name in _PRIVATE:
            if not _ignored(subject.root, path):
                fix = f"Add {path.name} to .gitignore."
                problems.append((f"{path.name} is not in .gitignore.", fix))
            continue
        text = path.read_text(errors="replace")
        name = path.relative_to(subject.root)
        for number, line in enumerate(text.splitlines(), start=1):
            problems += [(f"{name}:{number} {what}", fix) for what, fix in _in_line(line)]
            if path.name.startswith(".env"):
                problems += [(f"{name}:{number} {what}", fix) for what, fix in _in_env(line)]
        if path.suffix == ".py":
            problems += [(f"{name}:{number} {what}", fix) for number, what, fix in _in_python(text)]
    return Seen(tuple(problems))


def _in_line(line: str) -> Iterator[tuple[str, str]]:
    for password, host in _URL.findall(line):
        if host not in _HERE and not _PLACEHOLDERS.match(password):
            yield f"has the password of {host}.", _ADDRESS
    if _PRIVATE_KEY.search(line):
        fix = (
            "Take the key out of the source, let a file or the environment give it, and change it."
        )
        yield "has a private key.", fix


def _in_env(line: str) -> Iterator[tuple[str, str]]:
    name, separator, value = line.partition("=")
    name, value = name.strip().removeprefix("export "), value.strip().strip("'\"")
    if separator and is_secret(name, value) and not _PLACEHOLDERS.match(value):
        fix = "Leave its value out of files that are committed, and change it."
        yield f"gives away {name}.", fix


def _in_python(text: str) -> Iterator[tuple[int, str, str]]:
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return
    for found in secrets_in(tree):
        if found.host is None:
            fix = (
                "Declare it in a class of BaseSettings without a default, so that the "
                "environment gives it, and change its value."
            )
            yield found.line, f"gives away {found.name}.", fix
        elif found.host not in _HERE:
            yield found.line, f"connects with a {found.name} in the source.", _ADDRESS


def expire_on_commit(subject: Subject) -> Seen:
    """Look for sessions of SQLAlchemy's own that expire what they have read."""
    if subject.root is None:
        return Seen(skipped="the source is not known")
    problems = []
    for path in _files(subject.root, {".py"}):
        for number, name in _sessions(path):
            where = f"{path.relative_to(subject.root)}:{number}"
            fix = "Use db.transaction() or db.session(), or pass expire_on_commit=False."
            problems.append((f"{where} makes {name} that expires on commit.", fix))
    return Seen(tuple(problems))


def _sessions(path: Path) -> Iterator[tuple[int, str]]:
    try:
        tree = ast.parse(path.read_text(errors="replace"))
    except SyntaxError:
        return
    # `Session` is a word of many libraries.
    makers = _MAKERS if _imports_session(tree) else _MAKERS - {"Session"}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        given = {word.arg: word.value for word in node.keywords}
        kept = given.get("expire_on_commit")
        is_off = isinstance(kept, ast.Constant) and kept.value is False
        if name in makers and not is_off and (node.args or node.keywords) and None not in given:
            yield node.lineno, name


def _imports_session(tree: ast.Module) -> bool:
    return any(
        isinstance(node, ast.ImportFrom)
        and (node.module or "").partition(".")[0] in ("sqlalchemy", "sqlmodel")
        and any(alias.name == "Session" for alias in node.names)
        for node in ast.walk(tree)
    )


def _files(root: Path, suffixes: set[str]) -> Iterator[Path]:
    for place, directories, names in os.walk(root):
        # Neither hidden ones, but for CI, nor environments: what is in them is not the project's.
        directories[:] = sorted(
            name
            for name in directories
            if name not in _NOT_OURS
            and (not name.startswith(".") or name == ".github")
            and not (Path(place) / name / "pyvenv.cfg").is_file()
        )
        for name in sorted(names):
            path = Path(place) / name
            fits = path.suffix in suffixes or (name.startswith(".env") and ".env" in suffixes)
            if fits and path.is_file() and path.stat().st_size < _MOST_BYTES:
                yield path


def _ignored(root: Path, path: Path) -> bool:
    ignore = root / ".gitignore"
    if not (root / ".git").exists():
        return True
    lines = ignore.read_text().splitlines() if ignore.is_file() else []
    return any(line.strip().strip("/") in (path.name, "*.env", ".env*") for line in lines)
