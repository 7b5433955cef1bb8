"""What would change in a project, before anything does.

Start at `Changes`.
"""

import difflib
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from sqlmodelkit.errors import ConfigError


def patch(name: str, old: str | None, new: str | None) -> str:
    """Return the change of a file as `git apply` takes it; None is for a file that is not there."""
    lines = difflib.unified_diff(
        (old or "").splitlines(keepends=True),
        (new or "").splitlines(keepends=True),
        "/dev/null" if old is None else f"a/{name}",
        "/dev/null" if new is None else f"b/{name}",
    )
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )


class Changes:
    """New files and edits of files, none of which is written before `write`."""

    def __init__(self, root: Path) -> None:
        """Begin with nothing."""
        self._root = root
        self._texts: dict[str, str] = {}
        self._new: list[str] = []

    def add(self, name: str, text: str) -> None:
        """Add a new file.

        Raises:
            ConfigError: It is there already.
        """
        if (self._root / name).exists():
            raise ConfigError(
                f"{name} is there already.", hint="Nothing was written: your file stays as it is."
            )
        self._texts[name] = text
        self._new.append(name)

    def edit(self, name: str, change: Callable[[str], str]) -> None:
        """Change a file that is there; what is in it otherwise stays as it is.

        Raises:
            ConfigError: It is not there.
        """
        if name not in self._texts and not (self._root / name).is_file():
            raise ConfigError(
                f"There is no {name}.",
                hint="This needs a project as `sqlmodelkit new` makes it: "
                "packages models, services and routers.",
            )
        self._texts[name] = change(self._texts.get(name) or self._old(name))

    def diff(self) -> str:
        """Return what would change, as a patch."""
        return "".join(
            patch(name, self._old(name) or None, text) for name, text in self._texts.items()
        )

    def write(self) -> list[Path]:
        """Write everything, and return the files."""
        written = []
        for name, text in self._texts.items():
            path = self._root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            written.append(path)
        self._format([name for name in self._new if name.endswith(".py")])
        return written

    def _format(self, names: list[str]) -> None:
        """Let the project's formatter break lines that long names make too long, where there is one."""
        if names and find_spec("ruff") is not None:
            command = [sys.executable, "-m", "ruff", "format", "--quiet", *names]
            subprocess.run(command, cwd=self._root, check=False)  # noqa: S603 - this very Python

    def _old(self, name: str) -> str:
        path = self._root / name
        return path.read_text(encoding="utf-8") if path.is_file() else ""
