"""How what a database calls its things is called in Python."""

import builtins
import keyword
import re
from collections.abc import Collection
from functools import cache
from typing import Any

from sqlmodel import SQLModel

_SECRET = re.compile(
    r"(^|_)(password|passwd|passphrase|pwd|secret|token|api_key|private_key|salt|pin|hash)(_|$)"
)
_NO_PLURAL = ("ss", "us", "is")
_BUILTINS = {"bool", "bytes", "float", "int", "list", "str"}


def looks_secret(name: str) -> bool:
    """Tell whether a column of this name probably holds what no client may see."""
    return bool(_SECRET.search(snake(name)))


def snake(name: str) -> str:
    """Return `UnitPrice`, `unit price` or `UNIT_PRICE` as `unit_price`."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return re.sub(r"\W+|_+", "_", words).strip("_").lower() or "unnamed"


def class_name(table: str, taken: Collection[str]) -> str:
    """Return the name of a table's class: `order_lines` is `OrderLine`."""
    words = snake(table).split("_")
    words[-1] = singular(words[-1])
    name = "".join(word[:1].upper() + word[1:] for word in words)
    if name[0].isdigit():
        name = f"Table{name}"
    return free(name, {*taken, *dir(builtins), "Field", "Relationship", "SQLModel"})


def attribute(column: str, *, annotations: Collection[str], taken: Collection[str]) -> str:
    """Return the name of a column's attribute.

    Args:
        column: The column's name.
        annotations: Type names that the same class uses, which an attribute would hide.
        taken: Names that are given already.
    """
    name = snake(column)
    if name[0].isdigit():
        name = f"column_{name}"
    hidden = {"dt", "registry", *(_BUILTINS & set(annotations)), *dir(SQLModel)}
    if keyword.iskeyword(name) or name.startswith(("model_dump", "model_validate")):
        hidden.add(name)
    return free(name, {*hidden, *taken})


def free(name: str, taken: Collection[str]) -> str:
    """Return a name, with as many lines behind it as it takes to be the only one."""
    while name in taken:
        name += "_"
    return name


def singular(word: str) -> str:
    """Return a noun for one thing."""
    if word.endswith(_NO_PLURAL):
        return word
    return str(_nouns().singular_noun(word) or word)


def plural(name: str) -> str:
    """Return the name of a class or thing for several of it, in lower case."""
    *words, last = snake(name).split("_")
    return "_".join([*words, str(_nouns().plural_noun(singular(last)))])


@cache
def _nouns() -> Any:
    from inflect import engine  # noqa: PLC0415 - comes with the extra `inspect`

    return engine()
