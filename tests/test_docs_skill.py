"""The agent skill of the package is what the guide says, and can be read where it is installed."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.skill import MEND, REFERENCES, SKILL, stale
from tests.docs_runner import ROOT
from tests.test_docs import anchors

AGENTS = ROOT / "src/sqlmodelkit/templates/project/common/AGENTS.md.jinja"
COPIES = sorted(REFERENCES.glob("*.md"))
FIELDS = {"name", "description", "license", "compatibility", "metadata", "allowed-tools"}
MOST_CHARACTERS = 20_000  # about the 5,000 tokens that the format advises

_LINK = re.compile(r"\[[^\]]+\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)")


def frontmatter() -> dict[str, str]:
    """Return the fields of the frontmatter; every value stands on the line of its name."""
    start, head, _ = SKILL.read_text().split("---\n", 2)
    assert start == ""
    fields = [line.partition(":") for line in head.splitlines() if not line.startswith(" ")]
    return {name: value.strip() for name, _, value in fields}


def test_the_skill_is_what_the_guide_says() -> None:
    """A page that was changed is copied anew by one command."""
    assert stale() == [], f"The skill is not what the guide says. Run: {MEND}"


def test_the_frontmatter_is_that_of_a_skill() -> None:
    """Its name is that of its folder, its description fits, and no field is unknown."""
    fields = frontmatter()
    assert set(fields) <= FIELDS
    assert fields["name"] == SKILL.parent.name == "sqlmodelkit"
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", fields["name"])
    assert 1 <= len(fields["description"]) <= 1024
    assert not re.search(r": | #|^[\[{&*!|>'\"%@`]", fields["description"])  # plain for YAML
    assert fields["license"] == "MIT"


def test_the_skill_is_short() -> None:
    """It is read as a whole each time."""
    assert len(SKILL.read_text()) <= MOST_CHARACTERS


@pytest.mark.parametrize("page", [SKILL, *COPIES], ids=lambda page: page.name)
def test_links_stay_inside_the_skill(page: Path) -> None:
    """There is nothing else in an environment; the file is there, and the heading in it."""
    lost = []
    for target, anchor in _LINK.findall(page.read_text()):
        path = (page.parent / target).resolve() if target else page
        inside = path.is_relative_to(SKILL.parent) and path.is_file()
        if not inside or (anchor and anchor not in anchors(path)):
            lost.append(f"{target}#{anchor}")
    assert lost == []


def test_every_reference_is_linked() -> None:
    """A reader of SKILL.md finds every page."""
    linked = {target for target, _ in _LINK.findall(SKILL.read_text())}
    assert [page.name for page in COPIES if f"references/{page.name}" not in linked] == []


def test_commands_of_the_skill_exist() -> None:
    """What it tells to call is in the reference of commands."""
    commands = (REFERENCES / "commands.md").read_text()
    told = re.findall(r"`sqlmodelkit ([a-z -]+?)`", SKILL.read_text())
    assert {"db check", "doctor"} <= set(told)
    assert [words for words in told if f"## sqlmodelkit {words}\n" not in commands] == []


def test_new_projects_say_where_the_skill_is(tmp_path: Path) -> None:
    """The command in their AGENTS.md prints the folder, wherever it is called."""
    (command,) = re.findall(r"`(python -c [^`]+)`", AGENTS.read_text())
    done = subprocess.run(
        [sys.executable, *shlex.split(command)[1:]],
        cwd=tmp_path,
        env=os.environ,
        capture_output=True,
        text=True,
        check=True,
    )
    assert Path(done.stdout.strip(), "SKILL.md").samefile(SKILL)
