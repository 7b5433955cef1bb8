"""Secrets that stand in Python source as they are.

Start at `secrets_in`.
"""

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple

from sqlmodelkit.inspection.names import snake

_NAMES = re.compile(
    r"(^|_)(password|passwd|passphrase|pwd|secret|(secret|api|private|access|signing)_key|token)$"
)
_TOKEN = re.compile(r"(?=.*\d)[\w.=+/-]{12,}")
# Nobody writes a password so: a template, a path, a text for people, a mark of a grammar.
_NO_SECRET = re.compile(r"^(?:[$%{<*/]|https?:|\.\.\.)|\s|…|\*\*|^.{0,3}$")
_CONNECTS = {
    "connect",
    "create_async_engine",
    "create_engine",
    "create_pool",
    "Database",
    "DatabaseSettings",
    "engine_from_config",
    "from_url",
    "Redis",
}
_WRAPS = {"SecretStr", "Field"}
_DEFAULTS = {"get", "getenv"}


class Secret(NamedTuple):
    """A secret: its line, the name it is given to, and where it connects to, if it does."""

    line: int
    name: str
    host: str | None = None


def secrets_in(tree: ast.AST) -> Iterator[Secret]:
    """Yield what the source gives away: to a name, as a default, or to what connects."""
    for node in _nodes(tree):
        match node:
            case ast.Call():
                yield from _given(node)
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    yield from _named(target, value)
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                yield from _named(target, value)
            case ast.arguments():
                yield from _defaults(node)
            case _:
                pass


def _nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield all nodes but those of enums, whose values are names."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.ClassDef) and any("Enum" in ast.unparse(b) for b in node.bases):
            continue
        waiting += reversed(list(ast.iter_child_nodes(node)))
        yield node


def _given(call: ast.Call) -> Iterator[Secret]:
    name = _name(call.func)
    words = {word.arg: word.value for word in call.keywords if word.arg}
    inner = words.get("connect_args")
    if isinstance(inner, ast.Dict):
        keys = zip(inner.keys, inner.values, strict=True)
        words |= {text: value for key, value in keys if (text := _text(key))}
    if name in _CONNECTS or ast.unparse(call.func).endswith("URL.create"):
        host = _text(words.get("host")) or _text(words.get("server")) or ""
        for word, value in words.items():
            if is_secret(word, _text(value)):
                yield Secret(call.lineno, word, host)
    elif name in _DEFAULTS and len(call.args) == 2:
        variable = _text(call.args[0]) or ""
        if is_secret(variable, _text(call.args[1])):
            yield Secret(call.lineno, variable)


def _named(target: ast.expr, value: ast.expr) -> Iterator[Secret]:
    name = _name(target)
    if isinstance(target, ast.Subscript):
        name = _text(target.slice) or ""
    if is_secret(name, _text(_unwrapped(value))):
        yield Secret(value.lineno, name)


def _defaults(found: ast.arguments) -> Iterator[Secret]:
    places = [*found.posonlyargs, *found.args]
    pairs = [*zip(places[::-1], found.defaults[::-1], strict=False)]
    pairs += [
        (arg, value)
        for arg, value in zip(found.kwonlyargs, found.kw_defaults, strict=True)
        if value
    ]
    for argument, value in pairs:
        if is_secret(argument.arg, _text(value)):
            yield Secret(value.lineno, argument.arg)


def _unwrapped(value: ast.expr) -> ast.expr:
    """Return what `SecretStr("…")` or `Field(default="…")` holds."""
    while isinstance(value, ast.Call) and _name(value.func) in _WRAPS:
        inner = [*value.args[:1], *(w.value for w in value.keywords if w.arg == "default")]
        if not inner:
            break
        value = inner[0]
    return value


def is_secret(name: str, value: str | None) -> bool:
    """Tell whether a name is that of a secret, and the value may be one."""
    name = snake(name)
    if value is None or not _NAMES.search(name) or _NO_SECRET.search(value):
        return False
    if name.endswith("token"):
        # The word is one of grammars, headers and kinds too: those hold words or patterns.
        return bool(_TOKEN.fullmatch(value))
    # The name of a field or header is no secret.
    return snake(value) != name


def _text(node: ast.expr | None) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return None


def _name(node: ast.expr) -> str:
    return str(getattr(node, "id", getattr(node, "attr", "")))
