"""Python source: written as the formatter would, and added to without touching the rest.

Start at `with_import`.
"""

import ast
import sys
from collections.abc import Iterable

from sqlmodelkit.errors import ConfigError
from sqlmodelkit.schemas import WIDTH, indented


def imports(names: Iterable[tuple[str, str]], *, own: str) -> str:
    """Return import statements in the usual order: the library's, others', one's own."""
    modules: dict[str, set[str]] = {}
    for module, name in names:
        modules.setdefault(module, set()).add(name)
    groups: list[list[str]] = [[], [], []]
    # What is imported whole comes first in its group.
    for module in sorted(modules, key=lambda each: (not _is_whole(modules[each]), each)):
        groups[_group(module, own)].append(_statement(module, modules[module]))
    return "\n\n".join("\n".join(group) for group in groups if group)


def _group(module: str, own: str) -> int:
    """Tell where a module stands: with the library's own, others', or one's own."""
    top = module.partition(".")[0]
    return 0 if top in sys.stdlib_module_names else 2 if top == own else 1


def _is_whole(names: Iterable[str]) -> bool:
    """Tell whether names stand for the module itself: empty, or ` as dt`."""
    return all(not name or name.startswith(" as ") for name in names)


def _statement(module: str, names: set[str], indent: str = "") -> str:
    if _is_whole(names):
        return f"{indent}import {module}{''.join(names)}"
    ordered = sorted(names, key=_rank)
    line = f"{indent}from {module} import {', '.join(ordered)}"
    if len(line) <= WIDTH:
        return line
    rows = "".join(f"{indent}    {name},\n" for name in ordered)
    return f"{indent}from {module} import (\n{rows}{indent})"


def _rank(name: str) -> tuple[int, str]:
    """Sort names as isort does: constants, classes, the rest."""
    bare = name.partition(" ")[0]
    kind = 0 if bare.isupper() and len(bare) > 1 else 1 if bare[:1].isupper() else 2
    return kind, name


def with_import(source: str, module: str, name: str) -> str:
    """Return source that imports a name too.

    Args:
        source: The text of a module.
        module: Where the name comes from, `.teams` if the module says it so.
        name: The name; `router as heroes` gives it another. Left empty, or as ` as dt`, the module
            is imported itself.
    """
    tree = ast.parse(source)
    if _is_whole([name]):
        return _with_module(source, tree, module, name)
    found = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    for node in found:
        names = {_spelled(alias) for alias in node.names}
        if _origin(node) == module and " as " not in name and name in names:
            return source
        if _origin(node) == module and not any(" as " in each for each in (*names, name)):
            return _replaced(source, node, _statement(module, names | {name}))
    line = _statement(module, {name})
    own = module.partition(".")[0]
    ours = [node for node in found if _group(_origin(node), own) == _group(module, own)]
    after = [node for node in ours if _origin(node) <= module]
    if after:
        return _inserted(source, _end(after[-1]), line)
    if ours:
        return _inserted(source, ours[0].lineno - 1, line)
    return _first_of_its_group(source, tree, line, own)


def _with_module(source: str, tree: ast.Module, module: str, called: str) -> str:
    line = f"import {module}{called}"
    every = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    if line in map(ast.unparse, every):
        return source
    own = module.partition(".")[0]
    group = _group(module, own)
    for node in every:
        named = _origin(node) if isinstance(node, ast.ImportFrom) else node.names[0].name
        if _group(named, own) == group and not (isinstance(node, ast.Import) and named < module):
            return _inserted(source, node.lineno - 1, line)
    return _first_of_its_group(source, tree, line, own)


def _first_of_its_group(source: str, tree: ast.Module, line: str, own: str) -> str:
    every = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    if not every:
        docstring = ast.get_docstring(tree) is not None
        return _inserted(source, _end(tree.body[0]) if docstring else 0, f"\n{line}")
    if own in sys.stdlib_module_names:
        return _inserted(source, every[0].lineno - 1, f"{line}\n")
    return _inserted(source, _end(every[-1]), f"\n{line}")


def with_typing_import(source: str, module: str, name: str) -> str:
    """Return source that imports a name for type checkers only."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name):
            if node.test.id != "TYPE_CHECKING":
                continue
            inner = [each for each in node.body if isinstance(each, ast.ImportFrom)]
            if any(each.module == module for each in inner):
                return source
            after = [each for each in inner if (each.module or "") <= module]
            line = _statement(module, {name}, "    ")
            return _inserted(source, _end(after[-1]) if after else node.lineno, line)
    source = with_import(source, "typing", "TYPE_CHECKING")
    last = [n for n in ast.parse(source).body if isinstance(n, ast.Import | ast.ImportFrom)][-1]
    block = f"\nif TYPE_CHECKING:\n{_statement(module, {name}, '    ')}"
    return _inserted(source, _end(last), block)


def with_member(source: str, owner: str, name: str, line: str) -> str:
    """Return source whose class has one more member, after the others.

    Args:
        source: The text of a module.
        owner: The class.
        name: The member.
        line: Its text, as it stands without indentation.

    Raises:
        ConfigError: There is no such class, or it has a member of this name.
    """
    node = class_in(source, owner)
    names = {item.target.id for item in node.body
             if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)}  # fmt: skip
    if name in names:
        raise ConfigError(
            f"{owner} has a field {name} already.", hint="Choose another name with --plural."
        )
    last, line = node.body[-1], indented(line)
    if isinstance(last, ast.Pass):
        return _replaced(source, last, line)
    blank = isinstance(last, ast.Expr | ast.FunctionDef | ast.AsyncFunctionDef)
    return _inserted(source, _end(last), f"\n{line}" if blank else line)


def with_inclusion(source: str, name: str) -> str:
    """Return source that includes one more router, after the others.

    Raises:
        ConfigError: No router is included there.
    """
    calls = [
        node
        for node in ast.parse(source).body
        if isinstance(node, ast.Expr) and ast.unparse(node).startswith("router.include_router(")
    ]
    if not calls:
        raise ConfigError(
            "The routers are not included by router.include_router(…) in routers/__init__.py.",
            hint="Nothing was written; add one there, or write the resource by hand.",
        )
    return _inserted(source, _end(calls[-1]), f"router.include_router({name})")


def fitted(text: str) -> str:
    """Return source whose calls and signatures stand in one line where they fit.

    Templates write them in three lines, as they must stand when the names are long.
    """
    lines = text.rstrip().splitlines()
    fit: list[str] = []
    while lines:
        line = lines.pop(0)
        whole = line
        if line.endswith("(") and len(lines) > 1 and lines[1].strip().startswith(")"):
            whole = line + lines[0].strip() + lines[1].strip()
        if whole != line and not lines[0].endswith(",") and len(whole) <= WIDTH:
            del lines[:2]
            line = whole
        empty = not line and fit[-2:] == ["", ""]
        if not empty:
            fit.append(line)
    return "\n".join(fit) + "\n"


def class_in(source: str, name: str) -> ast.ClassDef:
    """Return a class of a module.

    Raises:
        ConfigError: There is none of this name.
    """
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return node
    raise ConfigError(f"The class {name} was not found in its module.", hint="Write it by hand.")


def _origin(node: ast.ImportFrom) -> str:
    return "." * node.level + (node.module or "")


def _spelled(alias: ast.alias) -> str:
    return f"{alias.name} as {alias.asname}" if alias.asname else alias.name


def _end(node: ast.stmt) -> int:
    return node.end_lineno or node.lineno


def _inserted(source: str, line: int, text: str) -> str:
    lines = source.splitlines(keepends=True)
    return "".join([*lines[:line], f"{text}\n", *lines[line:]])


def _replaced(source: str, node: ast.stmt, text: str) -> str:
    lines = source.splitlines(keepends=True)
    return "".join([*lines[: node.lineno - 1], f"{text}\n", *lines[_end(node) :]])
