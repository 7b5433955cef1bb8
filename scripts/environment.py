"""Makes or refreshes a virtual environment for this checkout: `python -m scripts.environment`.

A stamp inside the environment says what it was made from, so the second call costs nothing, while
another Python, another place of the checkout, or a change of pyproject.toml or constraints.txt is
noticed. A lock lets several runs share one checkout.
"""

import argparse
import fcntl
import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "constraints.txt"

# Each level holds the ones before it.
LEVELS: dict[str, tuple[str, ...]] = {
    "demo": ("--group", "examples", "-e", "."),
    "test": ("--group", "test", "-e", ".[all]"),
    "dev": ("--group", "dev", "-e", ".[all]"),
    "bench": ("--group", "bench", "--group", "dev", "-e", ".[all]"),
}


def main() -> None:
    """Bring the environment named on the command line up to the level asked for."""
    parser = argparse.ArgumentParser(prog="python -m scripts.environment", description=__doc__)
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv")
    parser.add_argument("--level", choices=list(LEVELS), default="dev")
    options = parser.parse_args()
    prepare(options.venv.resolve(), options.level)


def prepare(venv: Path, level: str) -> Path:
    """Give the environment's Python, after making or refreshing the environment where needed."""
    if sys.version_info < (3, 11):  # noqa: UP036 - PYTHON= may name an older one
        sys.exit(f"Python 3.11 or newer is needed; this is {sys.version.split()[0]}.")
    python = venv / "bin" / "python"
    with (venv.parent / f"{venv.name}.lock").open("w") as lock:
        if not _take(lock.fileno(), wait=False):
            _say(f"waiting for another run that prepares {venv.name}")
            _take(lock.fileno(), wait=True)
        stamp = venv / ".stamp.json"
        found, wanted = _read(stamp), _wanted()
        kept = found.get("level", "") if found.get("python") == wanted["python"] else ""
        if found == {**wanted, "level": kept} and _rank(kept) >= _rank(level) and python.exists():
            return python
        stamp.unlink(missing_ok=True)
        if not kept or not python.exists():
            _make(venv)
        _install(python, level := max(kept, level, key=_rank))
        stamp.write_text(json.dumps({**wanted, "level": level}))
    return python


def _wanted() -> dict[str, str]:
    inputs = [ROOT / "pyproject.toml", CONSTRAINTS, Path(__file__)]
    digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in inputs))
    return {
        "python": f"{sys.version} {os.path.realpath(sys.base_prefix)} {ROOT}",
        "inputs": digest.hexdigest(),
    }


def _read(stamp: Path) -> dict[str, str]:
    try:
        found: dict[str, str] = json.loads(stamp.read_text())
    except (OSError, ValueError):
        return {}
    return found


def _rank(level: str) -> int:
    return list(LEVELS).index(level) if level in LEVELS else -1


def _make(venv: Path) -> None:
    _say(f"{venv.name}: new environment of Python {sys.version.split()[0]}")
    _run([sys.executable, "-m", "venv", "--clear", str(venv)])
    python = str(venv / "bin" / "python")
    _run([python, "-m", "pip", "install", "-q", "-c", str(CONSTRAINTS), "--upgrade", "pip"])


def _install(python: Path, level: str) -> None:
    started = time.monotonic()
    _say(f"{python.parent.parent.name}: installing the pinned packages for '{level}'")
    pins = ["-c", str(CONSTRAINTS), "--build-constraint", str(CONSTRAINTS)]
    _run([str(python), "-m", "pip", "install", *pins, *LEVELS[level]])
    _say(f"{python.parent.parent.name}: ready after {time.monotonic() - started:.0f} s")


def _run(command: list[str]) -> None:
    """Run quietly: a counter on a terminal, the whole output only if the command fails."""
    environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}
    lines: list[str] = []
    packages = 0
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        for line in process.stdout or ():
            lines.append(line)
            packages += line.startswith("Collecting ")
            if sys.stdout.isatty() and packages:
                print(f"\r\033[K[setup] {packages:3} packages", end="", flush=True)
    if sys.stdout.isatty() and packages:
        print("\r\033[K", end="")
    if process.returncode:
        sys.exit("".join(lines) + f"[setup] failed: {' '.join(command)}")


def _take(lock: int, *, wait: bool) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True


def _say(text: str) -> None:
    print(f"[setup] {text}", flush=True)


if __name__ == "__main__":
    main()
