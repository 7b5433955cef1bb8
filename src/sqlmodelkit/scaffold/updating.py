"""A project brought to the template of the installed version, with all that a person has changed.

Start at `plan_update`. Nothing is written before `Update.write`, and the record of the project is
written last.
"""

import itertools
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

from sqlmodelkit.errors import ConfigError

from .changes import patch
from .creating import Choices
from .merging import git, has_marks, merge
from .records import RECORD, Record
from .rendering import TEMPLATES

Action = Literal["added", "replaced", "merged", "conflict", "removed", "kept", "deleted"]
_STAGED = ".sqlmodelkit-update"
_LEFT_ALONE = (".env", RECORD)
_MIGRATIONS = "migrations/versions/"


@dataclass(frozen=True, slots=True)
class FileUpdate:
    """What happens to a file.

    Attributes:
        name: Its name below the root.
        action: What is done.
        old: What is in it; None where there is none.
        new: What shall be in it; None where there shall be none.
        why: Why it stays, where it does, or what is to be done.
    """

    name: str
    action: Action
    old: bytes | None
    new: bytes | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Update:
    """What an update would do; `write` does it.

    Attributes:
        root: The project.
        record: What the project was made with.
        new: What it is made with then.
        files: What happens to each file that the template changes.
    """

    root: Path
    record: Record
    new: Record
    files: list[FileUpdate]

    @property
    def conflicts(self) -> list[str]:
        """The files in which a person has to decide."""
        return [each.name for each in self.files if each.action == "conflict"]

    def diff(self) -> str:
        """Return what would change, as a patch."""
        return "".join(
            patch(each.name, _text(each.old), _text(each.new))
            for each in self.files
            if each.old != each.new
        )

    def write(self) -> None:
        """Write every file, then the record; each file is there as a whole at any time."""
        staged = self.root / _STAGED
        shutil.rmtree(staged, ignore_errors=True)
        staged.mkdir()
        changed = [each for each in self.files if each.old != each.new]
        try:
            for number, each in enumerate(changed):
                if each.new is not None:
                    _store(staged / str(number), each.new)
            for number, each in enumerate(changed):
                _put(self.root / each.name, None if each.new is None else staged / str(number))
            if self.new != self.record:
                _store(staged / RECORD, self.new.text().encode())
                _put(self.root / RECORD, staged / RECORD)
        finally:
            shutil.rmtree(staged, ignore_errors=True)


def plan_update(root: Path, *, allow_dirty: bool = False, templates: Path = TEMPLATES) -> Update:
    """Return what would bring a project to the template of the installed version.

    Args:
        root: The project.
        allow_dirty: Whether there may be changes that are not committed, or no repository at all.
        templates: Where the templates are.

    Raises:
        ConfigError: What the project was made with is not known, there are changes that are not
            committed, or there is no git.
    """
    record = Record.read(root)
    if not allow_dirty:
        _check_committed(root)
    choices = Choices.of(record.choices)
    new = Record(version("sqlmodelkit"), asdict(choices), choices.files(templates))
    return Update(root, record, new, list(_plans(root, record.files, new.files)))


def _check_committed(root: Path) -> None:
    """Refuse a project whose changes could not be told from those of the update."""
    if git("ls-files", "--error-unmatch", RECORD, place=root).returncode:
        raise ConfigError(
            f"{root} is not committed to git, so that an update could be neither seen nor undone.",
            hint="Commit it first, or say --allow-dirty.",
        )
    status = git("status", "--porcelain", "--", ".", f":!{_STAGED}", place=root)
    if status.stdout.strip():
        first = status.stdout.decode(errors="replace").splitlines()[0][3:]
        raise ConfigError(
            f"There are changes that are not committed, as in {first}.",
            hint="Commit or stash them, so that the update can be seen and undone; "
            "or say --allow-dirty.",
        )


def _plans(root: Path, base: Mapping[str, str], new: Mapping[str, str]) -> Iterator[FileUpdate]:
    for name in sorted({*base, *new}):
        before, now = base.get(name), new.get(name)
        if before != now and name not in _LEFT_ALONE and not name.startswith(_MIGRATIONS):
            yield from _plan(root, name, before, now)


def _plan(root: Path, name: str, before: str | None, now: str | None) -> Iterator[FileUpdate]:
    path = root / name
    if _is_elsewhere(root, path):
        yield FileUpdate(name, "kept", None, None, "what is there is no file of its own")
    elif not path.exists():
        if before is None and now is not None:
            yield FileUpdate(name, "added", None, now.encode())
        elif now is not None:
            yield FileUpdate(name, "deleted", None, None, "you have deleted it")
    else:
        mine = path.read_bytes()
        yield from _plan_file(path, name, mine, _ended_as(mine, before), _ended_as(mine, now))


def _plan_file(
    path: Path, name: str, mine: bytes, before: bytes | None, now: bytes | None
) -> Iterator[FileUpdate]:
    if mine == now:
        return
    if before is None:
        yield FileUpdate(name, "kept", mine, mine, "you have a file of this name")
    elif now is None:
        if mine == before:
            yield FileUpdate(name, "removed", mine, None)
        else:
            yield FileUpdate(name, "kept", mine, mine, "you have changed what is no longer needed")
    elif mine == before:
        yield FileUpdate(name, "replaced", mine, now)
    elif has_marks(mine):
        yield from _beside(path, name, mine, now, "it has marks of an earlier merge")
    else:
        merged = merge(mine, before, now)
        if merged.text is None:
            yield from _beside(path, name, mine, now, "it is no text")
        elif merged.conflicts:
            why = "choose between the marks <<<<<<< and >>>>>>>"
            yield FileUpdate(name, "conflict", mine, merged.text, why)
        else:
            yield FileUpdate(name, "merged", mine, merged.text)


def _beside(path: Path, name: str, mine: bytes, now: bytes, why: str) -> Iterator[FileUpdate]:
    """Leave a file as it is, and put what the template has beside it."""
    ends = (f".template{number or ''}" for number in itertools.count())
    end = next(end for end in ends if not os.path.lexists(f"{path}{end}"))
    yield FileUpdate(name, "conflict", mine, mine, f"{why}: the template's is in {name}{end}")
    yield FileUpdate(f"{name}{end}", "added", None, now)


def _is_elsewhere(root: Path, path: Path) -> bool:
    """Tell whether writing to a path would write to another place, or over no file."""
    for place in (path, *path.parents):
        if place == root:
            return False
        if place.is_symlink():
            return True
        if place.exists() and not (place.is_file() if place == path else place.is_dir()):
            return True
    return True


def _ended_as(mine: bytes, text: str | None) -> bytes | None:
    """Return a text of the template with the ends of lines that a person's file has."""
    if text is None:
        return None
    has_returns = b"\r\n" in mine and mine.count(b"\r\n") == mine.count(b"\n")
    return text.replace("\n", "\r\n").encode() if has_returns else text.encode()


def _text(content: bytes | None) -> str | None:
    return None if content is None else content.decode(errors="replace")


def _store(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _put(path: Path, staged: Path | None) -> None:
    """Put what is staged in a file's place, or remove it, with directories that are empty then."""
    if staged is None:
        path.unlink()
        parent = path.parent
        while not any(parent.iterdir()):
            parent.rmdir()
            parent = parent.parent
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        shutil.copymode(path, staged)
    staged.replace(path)
