"""The rows that are written by all contenders; they are made before the time is taken."""

from typing import Any

NUMBER = 10_000

HEROES: list[dict[str, Any]] = [
    {"name": f"bulk {n}", "secret_name": f"secret {n}", "age": n % 90, "team_id": 1 + n % 10}
    for n in range(NUMBER)
]
TEAMS: list[dict[str, Any]] = [
    {"name": f"bulk {n}", "headquarters": f"place {n}"} for n in range(NUMBER)
]
