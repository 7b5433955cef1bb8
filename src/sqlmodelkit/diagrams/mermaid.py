"""A diagram as text that Mermaid draws, as on the pages of GitHub and GitLab."""

import re

from .entities import Diagram, Line, Link


def mermaid(diagram: Diagram) -> str:
    """Return an `erDiagram`: the entities with their columns, then the foreign keys."""
    lines = ["erDiagram"]
    for entity in diagram.entities:
        lines.append(f"    {_name(entity.name)} {{")
        lines += [f"        {_column(line)}" for line in entity.lines]
        lines.append("    }")
    lines += [f"    {_link(link)}" for link in diagram.links]
    return "\n".join(lines) + "\n"


def _column(line: Line) -> str:
    marks = f" {', '.join(line.marks)}" if line.marks else ""
    note = ' "may be NULL"' if line.nullable else ""
    return f"{_word(line.type)} {_word(line.name)}{marks}{note}"


def _link(link: Link) -> str:
    parent = "|o" if link.optional else "||"
    child = "o|" if link.single else "o{"
    return (
        f'{_name(link.parent)} {parent}--{child} {_name(link.child)} : "{", ".join(link.columns)}"'
    )


def _name(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) else f'"{name}"'


def _word(text: str) -> str:
    """Return a text as Mermaid takes it for a column: letters, digits, lines and brackets."""
    word = re.sub(r"[^\w\-()\[\]]", "_", text)
    return word if re.match(r"[A-Za-z_]", word) else f"_{word}"
