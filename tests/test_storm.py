"""Ten thousand units of work that are cancelled wherever they are: nothing is left of them."""

import subprocess
import sys
from pathlib import Path

import pytest

UNITS = 10_000


@pytest.mark.slow
def test_a_storm_of_cancelled_units_of_work_leaves_nothing_behind(any_driver_url: str) -> None:
    """No connection, no transaction, no half of a unit, no foreign answer, no word on stderr."""
    command = [sys.executable, "-W", "error", "-m", "tests.storm", "--url", any_driver_url]
    run = subprocess.run(
        [*command, "--units", str(UNITS)],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (0, "") == (run.returncode, run.stderr), run.stdout
