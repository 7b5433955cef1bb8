"""A diagram as a file."""

import re
from pathlib import Path

from sqlmodelkit.errors import ConfigError

from .entities import Diagram
from .mermaid import mermaid
from .svg import svg

_ZOOM = 2
"""Pixels for each one of the SVG, so that it is sharp on today's screens and on paper."""


def write(diagram: Diagram, path: Path) -> None:
    """Write a diagram; the end of the file's name says how: `.svg`, `.png`, `.mmd`, or `.md`.

    Raises:
        ConfigError: There is no way to write such a file; for `.png`, the extra `diagrams` is not
            installed, or no font is.
    """
    suffix = path.suffix.lower()
    if suffix == ".svg":
        text = svg(diagram)
    elif suffix == ".png":
        path.write_bytes(png(diagram))
        return
    elif suffix == ".mmd":
        text = mermaid(diagram)
    elif suffix == ".md":
        text = f"```mermaid\n{mermaid(diagram)}```\n"
    else:
        hint = "Names end in .svg, .png, .mmd or .md."
        raise ConfigError(f"A diagram cannot be written as {path.name!r}.", hint=hint)
    path.write_text(text, encoding="utf-8")


def png(diagram: Diagram) -> bytes:
    """Return the picture as a PNG.

    Raises:
        ConfigError: The extra `diagrams` is not installed, or this machine has no font.
    """
    try:
        from resvg_py import svg_to_bytes  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ConfigError(
            "A PNG needs resvg.", hint="pip install 'sqlmodelkit[diagrams]', or write .svg."
        ) from error
    source = svg(diagram)
    drawn = svg_to_bytes(svg_string=source, zoom=_ZOOM)
    # Where there is no font, resvg leaves out every text and says nothing.
    silent = re.sub(r"<text .*?</text>", "", source)
    if drawn == svg_to_bytes(svg_string=silent, zoom=_ZOOM):
        raise ConfigError(
            "There is no font on this machine to write a PNG with.",
            hint="Install one, on Debian by `apt install fonts-dejavu-core`, or write .svg.",
        )
    return drawn
