"""The architecture page: which module may know which, and how big things may grow.

A module imports lower rings only, never a neighbour on its own ring; inside a folder, freely.
Rings 0 to 2 and the plan hold no `async def`: what thinks does not wait, and is tested without a
database.
"""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import mean

import pytest

RINGS = (
    ("callers", "cancellation", "constraints", "errors"),
    ("columns", "cursors", "drivers", "events", "models", "settings", "statements"),
    ("catalogs", "engines", "filters", "keysets", "nesting", "pages", "scopes", "sheets"),
    ("connections", "plan", "sessions"),
    ("measures", "selection", "transactions", "wires"),
    ("units",),
    ("bulk", "database", "execution", "explaining", "versions", "writes"),
    ("batches", "reads"),
    ("aggregates", "answers", "changes", "walks"),
    ("service",),
    ("fastapi", "projects", "schemas"),
    (
        "advising",
        "backups",
        "consoles",
        "diagrams",
        "inspection",
        "migrations",
        "sizing",
        "testing",
    ),
    ("doctor", "rehearsal", "scaffold"),
    ("__init__",),  # the public names; the FastAPI edge is imported by its own name
    ("cli", "pytest_plugin"),
    ("__main__",),
)
PURE_RINGS = 3
PURE_TOO = {"plan"}
WAITS_FOR_ITS_CALLER = "cancellation"  # and for nothing of its own: decision 0055
FOLDERS = {
    "advising",
    "backups",
    "cli",
    "connections",
    "diagrams",
    "doctor",
    "fastapi",
    "filters",
    "inspection",
    "migrations",
    "plan",
    "scaffold",
    "scopes",
    "sessions",
    "testing",
}
FORBIDDEN_NAMES = {"base", "common", "core", "helpers", "manager", "types", "utils"}

MOST_FILE_LINES = 600
MOST_CLASS_LINES = 300
MOST_FUNCTION_LINES = 60
LONG_FUNCTION_LINES = 40
LONG_FUNCTIONS = 0.03
MEAN_FUNCTION_LINES = 14

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "sqlmodelkit"
FILES = sorted(SOURCE.rglob("*.py"))
EXAMPLES = sorted((ROOT / "examples").rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))

Function = ast.FunctionDef | ast.AsyncFunctionDef
each_file = pytest.mark.parametrize(
    "path", FILES, ids=[path.relative_to(SOURCE).as_posix() for path in FILES]
)


def parse(path: Path) -> ast.Module:
    """Return a file's syntax tree."""
    return ast.parse(path.read_text(), str(path))


def unit_of(path: Path) -> str:
    """Return what stands in the ring list for a file: its folder, or its module."""
    return path.relative_to(SOURCE).with_suffix("").parts[0]


def ring_of(unit: str) -> int:
    """Return the ring of a module or folder."""
    return next(number for number, units in enumerate(RINGS) if unit in units)


def imported_units(path: Path) -> Iterator[str]:
    """Return the modules and folders of the package that a file imports, for types only included."""
    package = ("sqlmodelkit", *path.relative_to(SOURCE).parts[:-1])
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            targets = [alias.name.split(".") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else ()
            stem = [*start, *(node.module or "").split(".")] if node.module else [*start]
            targets = [[*stem, alias.name] for alias in node.names]
        else:
            continue
        known = {unit for units in RINGS for unit in units}
        for target in targets:
            if target[0] == "sqlmodelkit":
                yield target[1] if len(target) > 1 and target[1] in known else "__init__"


def functions(tree: ast.AST) -> Iterator[Function]:
    """Return every function and method, nested ones included."""
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def lines_of(node: Function | ast.ClassDef) -> int:
    """Count a definition's lines without docstrings: explaining must not be punished."""
    documented = [
        inner.body[0]
        for inner in ast.walk(node)
        if isinstance(inner, Function | ast.ClassDef) and ast.get_docstring(inner) is not None
    ]
    return height(node) - sum(map(height, documented))


def height(node: ast.stmt) -> int:
    """Count the lines from a statement's first to its last."""
    return (node.end_lineno or node.lineno) - node.lineno + 1


def test_the_ring_list_is_complete() -> None:
    """Every module stands in one ring, and every ring holds only what exists."""
    listed = [unit for units in RINGS for unit in units]
    assert sorted({unit_of(path) for path in FILES}) == sorted(listed)


@each_file
def test_imports_point_to_lower_rings(path: Path) -> None:
    """Nothing imports upwards or sideways."""
    unit = unit_of(path)
    wrong = {
        other
        for other in imported_units(path)
        if ring_of(other) >= ring_of(unit) and not (other == unit and unit in FOLDERS)
    }
    assert set() == wrong


def test_the_public_names_do_not_know_the_edge() -> None:
    """`import sqlmodelkit` does not import the FastAPI edge."""
    assert "fastapi" not in set(imported_units(SOURCE / "__init__.py"))


@each_file
def test_a_docstring_names_the_ring(path: Path) -> None:
    """Every module says what it is for; a ring that it names is its ring."""
    docstring = ast.get_docstring(parse(path)) or ""
    assert docstring
    stated = re.findall(r"\bRing (\d+)\b", docstring)
    inside_folder = unit_of(path) in FOLDERS and path.name != "__init__.py"
    if stated or not (inside_folder or path == SOURCE / "__init__.py"):
        assert [str(ring_of(unit_of(path)))] == stated


@each_file
def test_pure_rings_do_not_wait(path: Path) -> None:
    """Rings 0 to 2 and the plan hold no `async def`."""
    unit = unit_of(path)
    if (ring_of(unit) < PURE_RINGS or unit in PURE_TOO) and unit != WAITS_FOR_ITS_CALLER:
        found = [
            node.name for node in functions(parse(path)) if isinstance(node, ast.AsyncFunctionDef)
        ]
        assert [] == found


@each_file
def test_names_say_something(path: Path) -> None:
    """No module is named for being useful, and packages are two deep at most."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    assert set() == FORBIDDEN_NAMES & {part.strip("_") for part in parts}
    assert len(parts) <= 2


@pytest.mark.parametrize(
    "path", FILES + EXAMPLES, ids=lambda path: path.relative_to(ROOT).as_posix()
)
def test_annotations_are_evaluated(path: Path) -> None:
    """SQLModel and FastAPI read annotations, which must not be text by then."""
    found = [
        node.lineno
        for node in ast.walk(parse(path))
        if isinstance(node, ast.ImportFrom) and node.module == "__future__"
    ]
    assert [] == found


@each_file
def test_sizes(path: Path) -> None:
    """Files, classes and functions fit into a head."""
    assert len(path.read_text().splitlines()) <= MOST_FILE_LINES
    tree = parse(path)
    classes = {n.name: lines_of(n) for n in ast.walk(tree) if isinstance(n, ast.ClassDef)}
    assert {} == {name: lines for name, lines in classes.items() if lines > MOST_CLASS_LINES}
    long = {node.name: lines_of(node) for node in functions(tree)}
    assert {} == {name: lines for name, lines in long.items() if lines > MOST_FUNCTION_LINES}


def test_functions_are_short_on_the_whole() -> None:
    """Long functions are rare, and the usual one is a few lines."""
    sizes = [lines_of(node) for path in FILES for node in functions(parse(path))]
    long = [size for size in sizes if size > LONG_FUNCTION_LINES]
    assert mean(sizes) <= MEAN_FUNCTION_LINES
    assert len(long) <= LONG_FUNCTIONS * len(sizes)


def test_table_models_of_the_tests_have_names_of_their_own() -> None:
    """They share SQLAlchemy's registry, where a relation finds its target by the name alone."""
    names = Counter(
        node.name
        for path in TESTS
        for node in parse(path).body
        if isinstance(node, ast.ClassDef)
        and any(word.arg == "table" for word in node.keywords)
        and not any(word.arg == "registry" for word in node.keywords)
    )
    assert [] == [name for name, number in names.items() if number > 1]
