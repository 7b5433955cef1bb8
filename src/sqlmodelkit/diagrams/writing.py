"""A diagram as a file."""

from pathlib import Path

from sqlmodelkit.errors import ConfigError

from .entities import Diagram
from .mermaid import mermaid
from .svg import svg


def write(diagram: Diagram, path: Path) -> None:
    """Write a diagram; the end of the file's name says how: `.svg`, `.mmd`, or `.md`.

    Raises:
        ConfigError: There is no way to write such a file.
    """
    suffix = path.suffix.lower()
    if suffix == ".svg":
        text = svg(diagram)
    elif suffix == ".mmd":
        text = mermaid(diagram)
    elif suffix == ".md":
        text = f"```mermaid\n{mermaid(diagram)}```\n"
    else:
        hint = "Names end in .svg, .mmd or .md."
        if suffix in (".png", ".jpg", ".jpeg", ".pdf"):
            hint = (
                f"Write {path.with_suffix('.svg').name} and convert it, as with "
                f"`rsvg-convert -o {path.name} {path.with_suffix('.svg').name}`."
            )
        raise ConfigError(f"A diagram cannot be written as {path.name!r}.", hint=hint)
    path.write_text(text, encoding="utf-8")
