"""Runs the Python blocks of one Markdown page: `python -m tests.docs_runner docs/guide/04-filters.md`.

The blocks of a page run in order, in one namespace and one event loop, in an empty directory;
`await` may stand outside a function. A block whose first line is a comment with a file name, such
as `# heroes.py`, is stored as that file, for later blocks and other pages to import. What a block
prints must stand in its `#>` comments, or in the `text` block that follows it. A line of a `sh`
block that calls pytest is run, and must pass. A `console` block shows calls of `sqlmodelkit` after
`$`, and what they say; names of migrations and times may differ. There, `cd` and `export` hold for
what follows, and `echo '...' |` is what a command reads. A `toml` block is stored like a Python file.

Start at `read_blocks` and `run_page`.
"""

import ast
import asyncio
import builtins
import contextlib
import inspect
import io
import os
import re
import shlex
import sys
import tempfile
import types
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FIRST_PAGE = ROOT / "docs" / "guide" / "01-first-steps.md"
_FENCE = re.compile(r"^```(.*)$")
_FILE = re.compile(r"# (\w+\.(?:py|toml))\b")
_SHOWN = re.compile(r"^\s*#>(?: (.*))?$")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: what follows the fence, where its text begins, and the text."""

    info: str
    line: int
    text: str

    @property
    def file(self) -> str | None:
        """The file that the block is stored as, when its first line names one."""
        name = _FILE.match(self.text)
        return name[1] if name else None

    def shown(self) -> list[str]:
        """Return the output that the block's own comments promise."""
        return [line[1] or "" for line in map(_SHOWN.match, self.text.splitlines()) if line]


def read_blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page, in order."""
    blocks: list[Block] = []
    lines = iter(enumerate(page.read_text().splitlines(), start=1))
    for number, line in lines:
        fence = _FENCE.match(line)
        if fence:
            inside = list(_until_fence(lines))
            blocks.append(Block(fence[1], number + 1, "".join(f"{text}\n" for text in inside)))
    return blocks


def _until_fence(lines: Iterator[tuple[int, str]]) -> Iterator[str]:
    for _, line in lines:
        if line == "```":
            return
        yield line
    raise ValueError("A fenced block has no end.")


async def run_page(page: Path) -> None:
    """Run the Python blocks of a page in the working directory.

    Raises:
        AssertionError: A block prints something else than the page shows.
    """
    blocks = read_blocks(page)
    for block in read_blocks(FIRST_PAGE) if page != FIRST_PAGE else ():
        _store(block)
    module = types.ModuleType("page")
    vars(module)["__builtins__"] = builtins  # as Python itself gives every module; 3.12 asks for it
    sys.modules["page"] = module
    for block, following in zip(blocks, [*blocks[1:], None], strict=True):
        if block.info == "sh":
            await _run_pytest(block)
        elif block.info == "console":
            await _run_commands(block, page)
        elif block.info in ("python", "toml") and not _store(block):
            printed = await _run(block, page, module)
            shown = block.shown()
            if not shown and following is not None and following.info == "text":
                shown = following.text.splitlines()
            assert printed == shown, (
                f"{page.name}:{block.line} prints\n\n{_indented(printed)}\n\n"
                f"and the page shows\n\n{_indented(shown)}"
            )


async def _run_pytest(block: Block) -> None:
    for line in block.text.splitlines():
        name, *arguments = line.split()
        if name == "pytest":
            # Pages use the plugin of anyio; the other one would warn that it is not set up.
            options = ["-q", "-W", "error", "-p", "no:asyncio"]
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "pytest", *options, *arguments, stdout=PIPE
            )
            output, _ = await process.communicate()
            assert process.returncode == 0, output.decode()


async def _run_commands(block: Block, page: Path) -> None:
    """Run the commands of a block, and compare what they say with what stands below each."""
    parts = re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]
    for command, _, shown in (part.partition("\n") for part in parts):
        given, _, called = command.rpartition(" | ")
        name, *arguments = shlex.split(called)
        if name == "cd":
            os.chdir(arguments[0])  # the page's own directory, which is left with it
            continue
        if name == "export":
            variable, _, value = arguments[0].partition("=")
            os.environ[variable] = value
            continue
        assert name == "sqlmodelkit", f"Nobody runs {command!r}."
        # As in an environment that is active, which is what the pages suppose.
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "error", "-m", name, *arguments),
            env={**os.environ, "VIRTUAL_ENV": sys.prefix},
            stdin=PIPE,
            stdout=PIPE,
            stderr=STDOUT,
        )
        said_to_it = " ".join(shlex.split(given.removeprefix("echo ")))
        output, _ = await process.communicate(f"{said_to_it}\n".encode() if given else b"")
        said = [line.rstrip() for line in output.decode().rstrip().splitlines()]
        expected = shown.rstrip().splitlines()
        assert _same(said) == _same(expected), (
            f"{page.name}:{block.line} {command} says\n\n{_indented(said)}\n\n"
            f"and the page shows\n\n{_indented(expected)}"
        )


def _same(lines: list[str]) -> list[str]:
    """Return lines without what differs each time: names of migrations, dates and durations."""
    changing = (
        r"\d{4}_\d\d_\d\d_\d{4}|(?<![0-9a-f])[0-9a-f]{12}(?![0-9a-f])|\d+\.\d s|\d+\.\d+\.\d+\S*"
    )
    return [re.sub(changing, "#", line.replace(str(Path.cwd()), "/app")) for line in lines]


def _store(block: Block) -> bool:
    if block.info not in ("python", "toml") or block.file is None:
        return False
    Path(block.file).write_text(block.text)
    return True


async def _run(block: Block, page: Path, module: types.ModuleType) -> list[str]:
    source = "\n" * (block.line - 1) + block.text  # so that a traceback names the page's line
    code = compile(source, str(page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        pending = types.FunctionType(code, vars(module))()
        if inspect.iscoroutine(pending):
            await pending
    return [line.rstrip() for line in output.getvalue().splitlines()]


def _indented(lines: list[str]) -> str:
    return "\n".join(f"    {line}" for line in lines) or "    nothing"


def main(page: Path) -> None:
    """Run a page in a temporary directory, without this machine's settings."""
    for name in [name for name in os.environ if name.startswith(("DB_", "DATABASE_"))]:
        del os.environ[name]
    with tempfile.TemporaryDirectory() as directory, contextlib.chdir(directory):
        sys.path.insert(0, directory)
        asyncio.run(run_page(page))


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
