"""Python as text: calls that fit into lines, imports in order, quotes alike."""

import io
import tokenize
from collections.abc import Mapping, Sequence

from sqlmodelkit.schemas import WIDTH, fit

from .fields import Imports

_STANDARD = {"decimal", "enum", "typing", "uuid"}


def tuple_of(items: Sequence[str], head: str) -> str:
    """Return a tuple behind the beginning of a line."""
    end = "," if len(items) == 1 else ""
    text = fit(f"{head}({', '.join(items)}{end})", indent=4)
    return text.replace(",,", ",")


def mapping(options: Mapping[str, str]) -> str:
    """Return a dictionary of texts."""
    return "{" + ", ".join(f'"{key}": {value}' for key, value in options.items()) + "}"


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
        if len(line) > WIDTH:
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
