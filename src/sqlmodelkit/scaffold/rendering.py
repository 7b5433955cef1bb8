"""Templates to texts.

Start at `render_tree`. What is filled in stands in double angle brackets, because braces have a
meaning of their own in Python, workflows and shells.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

TEMPLATES = Path(__file__).parent.parent / "templates"
_SUFFIX = ".jinja"


def render_tree(
    place: str, values: Mapping[str, Any], *, templates: Path = TEMPLATES
) -> dict[str, str]:
    """Return the files of a directory of templates, by their names in it."""
    root = templates / place
    environment = _environment(root)
    names = sorted(
        path.relative_to(root).as_posix() for path in root.rglob(f"*{_SUFFIX}") if path.is_file()
    )
    return {
        name.removesuffix(_SUFFIX): environment.get_template(name).render(values) for name in names
    }


def render(name: str, values: Mapping[str, Any]) -> str:
    """Return one file."""
    return _environment(TEMPLATES).get_template(f"{name}{_SUFFIX}").render(values)


def _environment(root: Path) -> Environment:
    return Environment(  # noqa: S701 - the texts are programs, not pages
        loader=FileSystemLoader(root),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        variable_start_string="<<",
        variable_end_string=">>",
        block_start_string="<%",
        block_end_string="%>",
        comment_start_string="<#",
        comment_end_string="#>",
    )
