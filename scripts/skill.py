"""Copies the guide into the agent skill of the package: `python -m scripts.skill`.

`SKILL.md` is written by hand down to the heading `References`; what follows is made from the
index of the guide. The copies differ from their pages only by links, which stay inside
`references/`: what a link leads to outside is not in the wheel, so that only its text is left.
"""

import re
from pathlib import Path

from .environment import ROOT

DOCS = ROOT / "docs"
SKILL = ROOT / "src" / "sqlmodelkit" / ".agents" / "skills" / "sqlmodelkit" / "SKILL.md"
REFERENCES = SKILL.parent / "references"
MEND = "make docs"
HEADING = "## References\n"
BEFORE = """
Each is a page of the guide, and of the version that is installed.

"""

_LINK = re.compile(r"\[([^\]]+)\]\((?!https?:)([^)#]*)(#[^)]*)?\)")
_LISTED = re.compile(r"(?:\d+\.|-) (\[[^\]]+\]\((?:guide|reference)/[^)]+\): .+)")


def pages() -> dict[str, Path]:
    """Return the pages that are copied, by the names of their copies."""
    found = [*sorted((DOCS / "guide").glob("*.md")), DOCS / "reference" / "commands.md"]
    return {page.name: page for page in found}


def reference(page: Path) -> str:
    """Return the copy of a page."""
    return _linked(page.read_text(), page.parent, "")


def skill() -> str:
    """Return SKILL.md: its own part, and the pages as the index of the guide lists them."""
    own, _, _ = SKILL.read_text().partition(HEADING)
    lines = (DOCS / "index.md").read_text().splitlines()
    listed = [found[1] for found in map(_LISTED.fullmatch, lines) if found]
    return own + HEADING + BEFORE + "".join(f"- {_linked(line, DOCS)}\n" for line in listed)


def _linked(text: str, folder: Path, to: str = "references/") -> str:
    copied = {page: name for name, page in pages().items()}

    def link(found: re.Match[str]) -> str:
        label, target, anchor = found[1], found[2], found[3] or ""
        if not target:
            return found[0]
        name = copied.get((folder / target).resolve())
        return f"[{label}]({to}{name}{anchor})" if name else label

    return _LINK.sub(link, text)


def files() -> dict[Path, str]:
    """Return what each file of the skill should hold."""
    return {SKILL: skill()} | {REFERENCES / name: reference(page) for name, page in pages().items()}


def stale() -> list[str]:
    """Return the files of the skill that are missing, too many, or not as they should be."""
    expected = files()
    there = {path for path in SKILL.parent.rglob("*") if path.is_file()}
    wrong = {p for p, text in expected.items() if not p.exists() or p.read_text() != text}
    return sorted(str(path.relative_to(ROOT)) for path in wrong | (there - set(expected)))


def write() -> None:
    """Write what is stale, and remove the copies of pages that are gone."""
    REFERENCES.mkdir(exist_ok=True)
    expected = files()
    for path, text in expected.items():
        path.write_text(text)
    for path in set(REFERENCES.iterdir()) - set(expected):
        path.unlink()
    print(f"{SKILL.parent.relative_to(ROOT)}: {len(expected) - 1} references")


if __name__ == "__main__":
    write()
