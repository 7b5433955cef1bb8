"""README, guide and decisions say what is true: their blocks run, their links lead somewhere."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import sqlmodelkit
import sqlmodelkit.fastapi
from scripts.skill import SKILL
from sqlmodelkit import DatabaseSettings, errors, filters, pages, reads, walks
from sqlmodelkit.fastapi import handlers, parameters, routers
from tests.docs_runner import ROOT, read_blocks

GUIDE = sorted((ROOT / "docs" / "guide").glob("*.md"))
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
FRONT = [ROOT / "README.md", ROOT / "docs" / "index.md", ROOT / "docs" / "why.md"]
PAGES = [
    *FRONT,
    SKILL,
    *GUIDE,
    *DECISIONS,
    ROOT / "docs" / "conformance.md",
    ROOT / "docs" / "reference" / "commands.md",
    ROOT / "docs" / "patterns.md",
    ROOT / "CHANGELOG.md",
]
LIMITS = [
    (FRONT[0], 120),
    (SKILL, 250),
    *((page, 200) for page in GUIDE),
    *((page, 40) for page in DECISIONS),
]
ERRORS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.SQLModelKitError)
][1:]  # the first one is the root

_LINK = re.compile(r"\[[^\]]+\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)")


def every(paths: list[Path]) -> pytest.MarkDecorator:
    """Return a mark that runs a test for each page, named after it."""
    names = [str(path.relative_to(ROOT)) for path in paths]
    return pytest.mark.parametrize("page", paths, ids=names)


def page_named(name: str) -> str:
    """Return the text of a page of the guide."""
    return (ROOT / "docs" / "guide" / f"{name}.md").read_text()


def prose(page: Path) -> list[str]:
    """Return the lines of a page that stand outside its fenced blocks."""
    return re.sub(
        r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE
    ).splitlines()


def anchors(page: Path) -> set[str]:
    """Return the names of a page's headings, as links write them."""
    heads = [line.lstrip("# ") for line in prose(page) if line.startswith("#")]
    return {re.sub(r"[^\w -]", "", head).strip().lower().replace(" ", "-") for head in heads}


@every(
    [
        path
        for path in [*FRONT, *GUIDE, SKILL]
        if any(b.info in {"python", "console"} for b in read_blocks(path))
    ]
)
def test_a_page_runs(page: Path) -> None:
    """Its Python blocks run in order and print what it shows, without a warning."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error", "-m", "tests.docs_runner", str(page)]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@every(PAGES)
def test_a_block_says_what_it_is(page: Path) -> None:
    """There are no blocks that nobody runs or checks."""
    assert {block.info for block in read_blocks(page)} <= {
        "python",
        "text",
        "sh",
        "console",
        "toml",
    }


@pytest.mark.parametrize(("page", "most"), LIMITS, ids=lambda value: getattr(value, "name", None))
def test_a_page_is_short(page: Path, most: int) -> None:
    """It can be read in one go."""
    assert len(page.read_text().splitlines()) <= most


@every(PAGES)
def test_a_line_has_one_sentence(page: Path) -> None:
    """Changes are easy to review then; lists and tables may have more."""
    lines = [line for line in prose(page) if not re.match(r"\s*([-*|#\d<]|$)", line)]
    assert [line for line in lines if re.search(r"[a-z)`][.!?] [A-Z]", line)] == []


@every(PAGES)
def test_links_lead_somewhere(page: Path) -> None:
    """The file is there, and the heading in it."""
    lost = []
    for target, anchor in _LINK.findall(page.read_text()):
        path = (page.parent / target).resolve() if target else page
        if not path.exists() or (anchor and anchor not in anchors(path)):
            lost.append(f"{target}#{anchor}")
    assert lost == []


def test_every_page_is_in_the_index() -> None:
    """A reader who starts at the index finds every page of the guide."""
    index = FRONT[1].read_text()
    assert [page.name for page in GUIDE if f"](guide/{page.name})" not in index] == []


@every([*FRONT, *GUIDE])
def test_commands_exist(page: Path) -> None:
    """A `sh` block names targets of the Makefile, extras of the package and files that exist."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    packages = {"sqlmodelkit", "uvicorn"}
    packages |= {f'"sqlmodelkit[{extra}]"' for extra in project["optional-dependencies"]}
    files = {block.file for path in [*FRONT, *GUIDE] for block in read_blocks(path) if block.file}
    for line in [ln for b in read_blocks(page) if b.info == "sh" for ln in b.text.splitlines()]:
        match line.split():
            case ["make", target, *_]:
                assert target in targets
            case ["pip", "install", *names]:
                assert set(names) <= packages
            case ["pytest", name]:
                assert name in files
            case ["uvicorn", name]:
                assert f"{name.removesuffix(':app')}.py" in files
            case ["python", "-m", "sqlmodelkit", "explain", name, *_]:
                assert f"{name.partition(':')[0]}.py" in files
            case _:
                pytest.fail(f"Nobody checks the command {line!r}.")


@pytest.mark.parametrize("name", [*sqlmodelkit.__all__, *sqlmodelkit.fastapi.__all__])
def test_a_public_name_is_in_the_guide(name: str) -> None:
    """A name that no page needs should not be public."""
    assert any(re.search(rf"\b{name}\b", page.read_text()) for page in GUIDE)


@pytest.mark.parametrize("operator", filters.OPERATORS)
def test_an_operator_is_in_the_table(operator: str) -> None:
    """The table of operators is whole."""
    table = [line for line in page_named("04-filters").splitlines() if line.startswith("| `")]
    assert any(f"`{operator}`" in line.split("|")[1] for line in table)


@pytest.mark.parametrize(("other", "operator"), filters.ALIASES.items())
def test_another_spelling_is_told(other: str, operator: str) -> None:
    """Every spelling that works is told."""
    assert f"`{other}` for `{operator}`" in page_named("04-filters")


@pytest.mark.parametrize("name", DatabaseSettings.model_fields)
def test_a_setting_is_in_the_table(name: str) -> None:
    """With its variable and its default."""
    variable = "DATABASE_URL" if name == "url" else f"DB_{name}".upper()
    default = DatabaseSettings.model_fields[name].default
    assert f"| `{variable}` | `{default}` |" in page_named("10-database-and-settings")


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_an_error_is_in_the_table_with_its_status(kind: type[errors.SQLModelKitError]) -> None:
    """The table says what clients see of each error."""
    status = int(handlers.status_of(kind()) or 500)
    row = rf"\| [├└]? ?`{kind.__name__}` \|.*\| {status} \|"
    assert re.search(row, page_named("08-errors"))


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("03-reading", f"more than {reads.MAX_ROWS:,} matching rows"),
        (
            "03-reading",
            f"in batches of {walks.BATCH} (`batch=` up to {reads.MAX_ROWS:,})",
        ),
        (
            "04-filters",
            f"{filters.MAX_CONDITIONS} conditions, {filters.MAX_ITEMS} values in a list",
        ),
        ("04-filters", f"{filters.MAX_DEPTH} relations deep"),
        ("04-filters", f"Over HTTP {parameters.MAX_LIST} values"),
        ("05-pages-and-sorting", f"| `limit` | {pages.DEFAULT_LIMIT} | 1 to {reads.MAX_ROWS:,};"),
        ("05-pages-and-sorting", f"over HTTP 1 to {pages.MAX_LIMIT}, "),
        ("05-pages-and-sorting", f"| `offset` | 0 | 0 to {pages.MAX_OFFSET:,} |"),
        ("05-pages-and-sorting", f"At most {pages.MAX_SORTS} names"),
        ("09-fastapi", f"with a list of up to {routers.MAX_BATCH}, "),
    ],
)
def test_a_bound_is_told_as_it_is(page: str, text: str) -> None:
    """Numbers in the guide are those of the code."""
    assert text in page_named(page)
