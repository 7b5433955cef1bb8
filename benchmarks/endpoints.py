"""What is asked: seven endpoints, and the requests that are sent to them."""

import json
import random
from dataclasses import dataclass
from itertools import count
from typing import Literal

from .seed import HEROES, SEED, TEAMS, hero_rows

VARIANTS = 500
"""How many different requests a load repeats, where the endpoint has a key or a body."""
MIN_AGE = 30

_PATCHED = 5
_LOADS = count()

EndpointName = Literal["E1", "E2", "E3", "E4", "E5", "E6", "E7"]


@dataclass(frozen=True)
class Endpoint:
    """One thing that every contender can do."""

    name: EndpointName
    title: str
    method: str
    path: str
    writes: bool = False


ENDPOINTS = (
    Endpoint("E1", "one flat row", "GET", "/heroes/{key}"),
    Endpoint("E2", "flat list of 100", "GET", "/heroes?limit=100"),
    Endpoint("E3", "100 heroes with team and powers", "GET", "/nested-heroes?limit=100"),
    Endpoint("E4", "20 teams with about 20 heroes each", "GET", "/teams?limit=20"),
    Endpoint("E5", "create", "POST", "/heroes", writes=True),
    Endpoint(
        "E6", "filter, sort, exact total, 50 rows", "GET",
        f"/hero-pages?min_age={MIN_AGE}&limit=50&offset=100",
    ),
    Endpoint("E7", "PATCH", "PATCH", "/heroes/{key}", writes=True),
)  # fmt: skip


@dataclass(frozen=True)
class Request:
    """One HTTP request."""

    method: str
    path: str
    body: bytes = b""

    def raw(self) -> bytes:
        """Return the request as it goes over the wire."""
        lines = [f"{self.method} {self.path} HTTP/1.1", "Host: 127.0.0.1", "Accept: */*"]
        if self.body:
            lines += ["Content-Type: application/json", f"Content-Length: {len(self.body)}"]
        return "\r\n".join([*lines, "", ""]).encode() + self.body


def load_requests(endpoint: Endpoint, path: str) -> list[Request]:
    """Return the requests of a load: the same work, in the same order, for every contender."""
    dice = random.Random(endpoint.name)
    keys = dice.sample(range(1, HEROES + 1), VARIANTS)
    if endpoint.name == "E7":
        return _changes(path, keys)
    if endpoint.writes:
        return [Request("POST", path, _new_hero(number, dice)) for number in range(VARIANTS)]
    if "{key}" in path:
        return [Request(endpoint.method, path.format(key=key)) for key in keys]
    return [Request(endpoint.method, path)]


def _changes(path: str, keys: list[int]) -> list[Request]:
    """Return changes that change something, however often they are repeated.

    An ORM sends nothing for a value that a row already has, so each load has values of its own,
    and two for each row, by turns.
    """
    load = next(_LOADS)
    return [
        Request(
            "PATCH",
            path.format(key=key),
            json.dumps({"secret_name": f"Person {key}, load {load:06}, {turn}"}).encode(),
        )
        for turn in "AB"
        for key in keys
    ]


def _new_hero(number: int, dice: random.Random) -> bytes:
    hero = {
        "name": f"New hero {number}",
        "secret_name": f"New person {number}",
        "age": dice.randint(18, 90),
        "team_id": dice.randint(1, TEAMS),
    }
    return json.dumps(hero).encode()


def check_requests(endpoint: Endpoint, path: str) -> list[Request]:
    """Return the requests whose answers are compared: with and without values, in this order."""
    if endpoint.name == "E5":
        bodies = [
            {"name": 'Ä "quoted" \\ \n\u2028', "secret_name": "x", "age": 41, "team_id": 7},
            {"name": "No team", "secret_name": "y"},
            {"name": "Nulls", "secret_name": "z", "age": None, "team_id": None},
        ]
        return [Request("POST", path, json.dumps(body).encode()) for body in bodies]
    if endpoint.name == "E7":
        original = hero_rows(random.Random(SEED))[_PATCHED - 1]
        changes: list[dict[str, object]] = [
            {"secret_name": "Changed", "age": 33},
            {"age": None, "team_id": None},
            # As it was, for whoever comes next.
            {name: original[name] for name in ("secret_name", "age", "team_id")},
        ]
        path = path.format(key=_PATCHED)
        return [Request("PATCH", path, json.dumps(change).encode()) for change in changes]
    if "{key}" in path:
        return [Request("GET", path.format(key=key)) for key in range(1, 60)]
    return [Request("GET", path)]
