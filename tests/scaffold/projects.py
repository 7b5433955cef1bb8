"""Makes projects and runs their own checks in them, with this environment's tools."""

import os
import subprocess
import sys
from pathlib import Path

CHECKS = (
    ("ruff", "check", "--no-cache"),
    ("ruff", "format", "--check", "--no-cache"),
    ("mypy",),
)


def run_in(root: Path, *command: str, **environment: str) -> str:
    """Run a command of ours in a project, expect success, and return what it says."""
    status, said = try_in(root, *command, **environment)
    assert 0 == status, said
    return said


def try_in(root: Path, *command: str, **environment: str) -> tuple[int, str]:
    """Run a command of ours in a project; answer its status and what it says."""
    left = {name: text for name, text in os.environ.items() if not name.startswith("DATABASE")}
    path = os.pathsep.join([str(root), *filter(None, [left.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=root,
        env={**left, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", **environment},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def check(root: Path) -> None:
    """Run the checks of style and types that a project has."""
    for command in CHECKS:
        run_in(root, *command)


def run_tests(root: Path, url: str | None = None, *arguments: str) -> str:
    """Run the tests of a project, on a server or as it is, and return the last line."""
    server = ["--database-url", url] if url else []
    options = ["-q", "-p", "no:asyncio", "-p", "no:cacheprovider", *server, *arguments]
    return run_in(root, "pytest", *options).splitlines()[-1]


_COMPARE = """
import asyncio
from sqlmodelkit.migrations import Schema, revision, upgrade
from sqlmodelkit.projects import find_project

schema = Schema.of(find_project())
asyncio.run(upgrade(schema))
found = asyncio.run(revision(schema, "missing"))
print("nothing" if found is None else found.path.read_text())
"""


def missing_migration(root: Path, url: str) -> str:
    """Bring a database to the newest migration; answer what the models have beyond it."""
    (root / "compare_for_tests.py").write_text(_COMPARE)
    said = run_in(root, "compare_for_tests", DATABASE_URL=url)
    (root / "compare_for_tests.py").unlink()
    return said.strip()
