"""A person's file and a newer template, made one by git.

Start at `merge`.
"""

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from sqlmodelkit.errors import ConfigError

_MOST_CONFLICTS = 127  # git's status is their number, up to this; more is a failure
_MARKS = (b"<<<<<<< ", b">>>>>>> ")


@dataclass(frozen=True, slots=True)
class Merged:
    """What came of it.

    Attributes:
        text: The file with both changes; None when git cannot merge it, as what is no text.
        conflicts: How many places have both versions, marked.
    """

    text: bytes | None
    conflicts: int


def merge(mine: bytes, base: bytes, theirs: bytes) -> Merged:
    """Return a file with the changes of both since they parted.

    Args:
        mine: The file as a person has it.
        base: As both had it.
        theirs: As the template has it now.

    Raises:
        ConfigError: There is no git.
    """
    with tempfile.TemporaryDirectory() as directory:
        names = []
        for name, text in (("mine", mine), ("base", base), ("theirs", theirs)):
            path = Path(directory, name)
            path.write_bytes(text)
            names.append(str(path))
        labels = ("-L", "yours", "-L", "the template before", "-L", "the template now")
        done = git("merge-file", "-p", "--diff3", *labels, *names, place=Path(directory))
    if not 0 <= done.returncode <= _MOST_CONFLICTS:
        return Merged(None, 1)
    return Merged(done.stdout, done.returncode)


def has_marks(text: bytes) -> bool:
    """Tell whether there are marks of an earlier merge in a file."""
    lines = text.splitlines()
    return all(any(line.startswith(mark) for line in lines) for mark in _MARKS)


def git(*arguments: str, place: Path) -> subprocess.CompletedProcess[bytes]:
    """Run git in a directory.

    Raises:
        ConfigError: There is none.
    """
    program = shutil.which("git")
    if program is None:
        raise ConfigError("Updating a project needs git.", hint="Install it.")
    # What a hook has set speaks of another repository.
    environment = {name: text for name, text in os.environ.items() if not name.startswith("GIT_")}
    return subprocess.run(  # noqa: S603 - git, as found
        [program, *arguments], cwd=place, env=environment, capture_output=True, check=False
    )
