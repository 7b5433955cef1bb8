"""SQL as separate statements, and statements as separate changes.

Start at `statements_of`.
"""

import re
from collections.abc import Iterator

_ALTER = re.compile(r"^(ALTER TABLE (?:IF EXISTS )?(?:ONLY )?\S+ )(.*)$", re.IGNORECASE | re.DOTALL)

_COMMENT = re.compile(r"/\*.*?\*/|^\s*--.*?$", re.DOTALL | re.MULTILINE)
_DOLLARS = re.compile(r"\$(\w*)\$(.*?)\$\1\$", re.DOTALL)
_DO = re.compile(r"^DO (?:LANGUAGE \w+ )?'(\d+)'", re.IGNORECASE)


def statements_of(text: str) -> list[str]:
    """Return the statements of a text, each on one line; those of a DO block by themselves."""
    bodies: list[str] = []

    def keep(found: re.Match[str]) -> str:
        bodies.append(found[2])
        return f"'{len(bodies) - 1}'"

    text = _DOLLARS.sub(keep, _COMMENT.sub(" ", text))
    statements: list[str] = []
    for part in _apart(text, ";"):
        statement = " ".join(part.split())
        block = _DO.match(statement)
        if block:
            body = re.sub(
                r"^\s*(DECLARE\b.*?)?\bBEGIN\b", "", bodies[int(block[1])], flags=re.DOTALL
            )
            statements += [each for each in statements_of(body) if each.upper() != "END"]
        elif statement:
            statements.append(statement)
    return statements


def changes_of(statement: str) -> list[str]:
    """Return a statement that changes a table in several ways as several statements."""
    found = _ALTER.match(statement)
    if found is None:
        return [statement]
    return [f"{found[1]}{part.strip()}" for part in _apart(found[2], ",")]


def outside_brackets(statement: str) -> str:
    """Return a statement without what stands in brackets, as other statements inside of it."""
    return "".join(letter for letter, depth in _letters(statement) if not depth)


def _apart(text: str, mark: str) -> Iterator[str]:
    part = ""
    for letter, depth in _letters(text):
        if letter == mark and not depth:
            yield part
            part = ""
        else:
            part += letter
    yield part


def _letters(text: str) -> Iterator[tuple[str, int]]:
    """Yield each letter, and how deep in brackets or quotes it is."""
    depth, quote = 0, ""
    for letter in text:
        if quote:
            yield letter, depth + 1
            if letter == quote:
                quote = ""
            continue
        if letter in "'\"`":
            quote = letter
        depth -= letter == ")"
        yield letter, depth + (letter in "()") + bool(quote)
        depth += letter == "("
