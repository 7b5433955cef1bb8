"""The classes beside a table as source: what clients send for a row, and what they see. Ring 10.

Start at `SchemaField`: whoever knows a table's columns, by reading a database or a person's models,
says them so, and `create_lines`, `update_lines`, `brief_lines` and `public_lines` do the rest.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

WIDTH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaField:
    """A column, as schemas have it.

    Attributes:
        name: The attribute.
        annotation: The type without None.
        nullable: Whether None is a value.
        default: What holds when nothing is sent, as an argument of `Field`; empty for what must be.
        rules: Further arguments of `Field` that hold for input: `max_length`, `ge`.
        key: Whether it is part of the primary key, which no update changes.
        written: Whether clients may give it; otherwise the database or the library does.
        shown: Whether clients may see it.
        refers: Whether it is a foreign key.
    """

    name: str
    annotation: str
    nullable: bool = False
    default: Mapping[str, str] = field(default_factory=dict)
    rules: Mapping[str, str] = field(default_factory=dict)
    key: bool = False
    written: bool = True
    shown: bool = True
    refers: bool = False

    @property
    def whole(self) -> str:
        """The type with None, where that is a value."""
        optional = self.nullable and self.annotation not in ("Any", "None")
        return f"{self.annotation} | None" if optional else self.annotation


def create_lines(fields: Iterable[SchemaField]) -> list[str]:
    """Return what a client sends for a new row."""
    return [
        field_line(each.name, each.whole, {**each.default, **each.rules})
        for each in fields
        if each.written
    ]


def update_lines(fields: Iterable[SchemaField]) -> list[str]:
    """Return what a client sends to change a row: everything may be left out."""
    return [
        field_line(each.name, each.whole, {"default": "None", **each.rules})
        for each in fields
        if each.written and not each.key
    ]


def public_lines(fields: Iterable[SchemaField]) -> list[str]:
    """Return what a client sees of a row, its key first."""
    shown = sorted((each for each in fields if each.shown), key=lambda each: not each.key)
    return [f"{each.name}: {each.whole}" for each in shown]


def brief_lines(fields: Sequence[SchemaField]) -> list[str]:
    """Return what is seen of a row inside of others: its key, and what it is known by.

    Returns:
        Nothing, where there is no column to know a row by.
    """
    telling = [
        each for each in fields if each.written and each.shown and not (each.key or each.refers)
    ]
    must = [each for each in telling if not each.default and not each.nullable]
    known_by = next((each for each in must if each.annotation == "str"), next(iter(must), None))
    keys = [each for each in fields if each.key and each.shown]
    return public_lines([*keys, known_by]) if known_by else []


def related_line(name: str, brief: str, *, many: bool, optional: bool) -> str:
    """Return how a response shows the rows that a relation leads to."""
    return f"{name}: {f'list[{brief}]' if many else f'{brief} | None' if optional else brief}"


def class_text(head: str, lines: Iterable[str], *, docstring: str | None = None) -> str:
    """Return a class.

    Args:
        head: Its name and what it derives from, as `HeroCreate(HeroBase)`.
        lines: What stands in it, as it stands without indentation.
        docstring: What it is, where its name does not say that.
    """
    told = [f'    """{docstring}"""', ""] if docstring else []
    return "\n".join([f"class {head}:", *told, *map(indented, list(lines) or ["pass"])])


def field_line(
    name: str, annotation: str, arguments: Mapping[str, str], *, function: str = "Field"
) -> str:
    """Return a field of a model, in one line where it fits."""
    head = f"{name}: {annotation}"
    if not arguments:
        return head
    if list(arguments) == ["default"]:
        value = arguments["default"]
        # A value that is not sent is none of the type; a type checker would say so.
        fits = value != "None" or annotation == "Any" or annotation.endswith("| None")
        return f"{head} = {value}" if fits else f"{head} = {function}(default=None)"
    return call(function, arguments, f"{head} = ")


def call(name: str, arguments: Mapping[str, str], head: str) -> str:
    """Return a call behind the beginning of a line, on as many lines as it takes."""
    parts = ", ".join(f"{key}={value}" for key, value in arguments.items())
    return fit(f"{head}{name}({parts})", indent=4)


def fit(text: str, *, indent: int) -> str:
    """Break what is in the last brackets of a text over lines, if it is too long for one.

    Args:
        text: An expression that ends with a bracket, or one too short to be broken.
        indent: How far from the left it will stand.
    """
    if indent + len(text) <= WIDTH:
        return text
    start, parts = _inside(text)
    if not parts:
        return text
    inner = ", ".join(parts)
    # Mappings and tuples are broken at each comma.
    is_call = text[start] == "(" and text[start - 1] not in " ="
    if is_call and indent + 4 + len(inner) <= WIDTH:
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


def indented(text: str) -> str:
    """Return a text as it stands inside of something."""
    return "\n".join(f"    {line}" if line else "" for line in text.split("\n"))
