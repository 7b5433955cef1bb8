"""Python as text: calls that fit into lines, imports in order, quotes alike."""

import io
import itertools
import tokenize
from collections.abc import Mapping, Sequence

from .fields import Imports

_WIDTH = 100
_STANDARD = {"decimal", "enum", "typing", "uuid"}


def call(name: str, arguments: Mapping[str, str], head: str) -> str:
    """Return a call behind the beginning of a line, on as many lines as it takes."""
    parts = ", ".join(f"{key}={value}" for key, value in arguments.items())
    return fit(f"{head}{name}({parts})", indent=4)


def tuple_of(items: Sequence[str], head: str) -> str:
    """Return a tuple behind the beginning of a line."""
    end = "," if len(items) == 1 else ""
    text = fit(f"{head}({', '.join(items)}{end})", indent=4)
    return text.replace(",,", ",")


def fit(text: str, *, indent: int) -> str:
    """Break what is in the last brackets of a text over lines, if it is too long for one.

    Args:
        text: An expression that ends with a bracket, or one too short to be broken.
        indent: How far from the left it will stand.
    """
    if indent + len(text) <= _WIDTH:
        return text
    start, parts = _inside(text)
    if not parts:
        return text
    inner = ", ".join(parts)
    # Mappings and tuples are broken at each comma.
    is_call = text[start] == "(" and text[start - 1] not in " ="
    if is_call and indent + 4 + len(inner) <= _WIDTH:
        return f"{text[: start + 1]}\n    {inner}\n{text[-1]}"
    rows = "".join(f"{indented(fit(part, indent=indent + 5))},\n" for part in parts)
    return f"{text[: start + 1]}\n{rows}{text[-1]}"


def _inside(text: str) -> tuple[int, list[str]]:
    """Return where the bracket opens that the text ends with, and the parts between."""
    depth, quote, opened, last = 0, "", -1, -1
    commas: list[int] = []
    for place, letter in enumerate(text):
        if quote:
            if letter == quote and text[place - 1] != "\\":
                quote = ""
        elif letter in "\"'":
            quote = letter
        elif letter in "([{":
            if depth == 0:
                opened, commas = place, []
            depth += 1
        elif letter in ")]}":
            depth -= 1
            last = place
        elif letter == "," and depth == 1:
            commas.append(place)
    if last != len(text) - 1 or opened < 0:
        return -1, []
    edges = [opened, *commas, last]
    parts = [text[a + 1 : b].strip() for a, b in itertools.pairwise(edges)]
    return opened, [part for part in parts if part]


def mapping(options: Mapping[str, str]) -> str:
    """Return a dictionary of texts."""
    return "{" + ", ".join(f'"{key}": {value}' for key, value in options.items()) + "}"


def indented(text: str) -> str:
    """Return a text as it stands inside of something."""
    return "\n".join(f"    {line}" if line else "" for line in text.split("\n"))


def write_imports(imports: Imports) -> str:
    """Return the lines that import all this, the standard library first."""
    modules: dict[str, set[str]] = {}
    taken: set[str] = set()
    # A dialect's own type of a name goes before the general one.
    for module, name in sorted(imports, key=lambda pair: (-pair[0].count("."), pair)):
        if name not in taken:
            modules.setdefault(module, set()).add(name)
            taken.add(name)
    standard: list[str] = []
    others: list[str] = []
    for module, names in sorted(modules.items()):
        if module == "datetime":
            standard.insert(0, "import datetime as dt")
            continue
        group = standard if module in _STANDARD else others
        ordered = sorted(names, key=_import_order)
        line = f"from {module} import {', '.join(ordered)}"
        if len(line) > _WIDTH:
            rows = "".join(f"    {name},\n" for name in ordered)
            line = f"from {module} import (\n{rows})"
        group.append(line)
    return "\n\n".join("\n".join(group) for group in (standard, others) if group)


def tidy(source: str) -> str:
    """Return a module with double quotes around its texts."""
    lines = source.splitlines(keepends=True)
    found = [
        token
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.STRING and token.string[0] == "'"
    ]
    for token in reversed(found):
        inside = token.string[1:-1]
        if '"' in inside or "\\" in inside or token.string.startswith("'''"):
            continue
        row = token.start[0] - 1
        start, end = token.start[1], token.end[1]
        lines[row] = f'{lines[row][:start]}"{inside}"{lines[row][end:]}'
    return "".join(lines)


def _import_order(name: str) -> tuple[int, str]:
    kind = 0 if name.isupper() else 1 if name[0].isupper() else 2
    return kind, name
