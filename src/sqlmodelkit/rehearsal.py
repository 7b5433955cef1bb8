"""Whether a project's migrations hold what they promise, tried on a database of no worth. Ring 12.

Start at `rehearse`.
"""

from collections.abc import Callable
from pathlib import Path

from .errors import ConfigError
from .migrations import Schema, downgrade, upgrade
from .projects import find_project
from .settings import DatabaseSettings


async def rehearse(root: Path, make: Callable[[], str]) -> None:
    """Run every migration of a project up, down and up again.

    Args:
        root: A directory of the project.
        make: Makes a database without tables and gives its address.

    Raises:
        AssertionError: Some migration cannot be undone, or is not the same the second time.
        ConfigError: A migration failed.
    """
    schema = Schema.of(find_project(root), settings=DatabaseSettings(url=make()))
    up = [step.revision for step in await upgrade(schema)]
    down = [step.revision for step in await downgrade(schema, "base")]
    try:
        again = [step.revision for step in await upgrade(schema)]
    except ConfigError as error:
        raise AssertionError(
            "The migrations went up and down, and then not up again: a downgrade does not undo "
            f"all that its upgrade does. {error}"
        ) from error
    if not up == again == down[::-1]:
        raise AssertionError(f"The migrations went up {up}, down {down} and up {again}.")
