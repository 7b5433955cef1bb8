"""Runs the test suite with every other supported Python found here: `python -m scripts.pythons`.

Looks on PATH and among pyenv's versions. Each Python gets an environment of its own, `.venv-3.12`.
"""

import os
import subprocess
import sys
from pathlib import Path

from .environment import ROOT

SUPPORTED = ("3.11", "3.12", "3.13")


def main() -> None:
    """Test with each other Python; arguments go to pytest. The first failure ends the run."""
    mine = "{}.{}".format(*sys.version_info)
    others = {version: path for version in SUPPORTED if version != mine if (path := find(version))}
    missing = [version for version in SUPPORTED if version != mine and version not in others]
    if missing:
        print(f"Not found here, so not tested: Python {', '.join(missing)}", flush=True)
    for version, python in others.items():
        print(f"\nPython {version}: {python}", flush=True)
        venv = ROOT / f".venv-{version}"
        setup = ["-m", "scripts.environment", "--venv", str(venv), "--level", "test"]
        _run([str(python), *setup])
        _run([str(venv / "bin" / "python"), "-m", "pytest", *sys.argv[1:]])


def find(version: str) -> Path | None:
    """Give a Python of this minor version that runs and can make environments."""
    folders = [Path(entry) for entry in os.environ.get("PATH", "").split(os.pathsep) if entry]
    # pyenv's shims on PATH refuse to run a version that is installed but not selected.
    roots = [folder.parent for folder in folders if folder.name == "shims"]
    roots += [Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")]
    for root in roots:
        folders += sorted(root.glob(f"versions/{version}.*/bin"), reverse=True)
    candidates = (folder / f"python{version}" for folder in folders)
    return next((python for python in candidates if _works(python, version)), None)


def _works(python: Path, version: str) -> bool:
    code = "import ensurepip, ssl, sqlite3, sys, venv; print('{}.{}'.format(*sys.version_info))"
    if not python.is_file():
        return False
    answer = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False)
    return answer.returncode == 0 and answer.stdout.strip() == version


def _run(command: list[str]) -> None:
    code = subprocess.run(command, cwd=ROOT, check=False).returncode
    if code:
        sys.exit(code)


if __name__ == "__main__":
    main()
