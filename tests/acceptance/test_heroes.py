"""The example in one file, run as its readers run it."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILE = ROOT / "examples" / "heroes" / "main.py"

STORY = """
from fastapi.testclient import TestClient
from examples.heroes.main import app

with TestClient(app) as client:
    team = client.post("/teams", json={"name": "Preventers"}).json()
    hero = client.post("/heroes", json={"name": "Rusty-Man", "team_id": team["id"]}).json()
    assert hero["team"] == team, hero
    promoted = client.post(f"/heroes/{hero['id']}/promotion").json()
    assert promoted == hero | {"rank": 2}, promoted
    page = client.get("/heroes?rank__gte=2&sort=-rank").json()
    assert page == {"items": [promoted], "total": 1, "limit": 50, "offset": 0}, page
    assert client.post("/teams", json={"name": "Preventers"}).status_code == 409
    assert client.delete(f"/teams/{team['id']}").status_code == 409
    assert client.get("/health/ready").json()["status"] == "ready"
"""


def test_the_example_in_one_file_serves_its_story(tmp_path: Path) -> None:
    """From an empty database: create, nest, change, list, and be refused."""
    database = f"sqlite:///{tmp_path / 'heroes.db'}"
    subprocess.run(
        [sys.executable, "-W", "error", "-c", STORY],
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": database},
        check=True,
        timeout=60,
    )


def test_the_example_stays_small() -> None:
    """It is the first thing people read."""
    assert len(FILE.read_text().splitlines()) < 80
