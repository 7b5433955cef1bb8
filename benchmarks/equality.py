"""Whether all contenders answer the same: nobody is fast by answering less.

What is compared is the parsed JSON. Three things are evened out before: the envelope around the
rows where a library's own router forces one, what a page says besides its rows and the total, and
the key and time that the database gives a created row.
"""

from typing import Any

from .client import ask
from .contenders import Contender
from .endpoints import Endpoint, check_requests

_ROWS = ("items", "data")
_TOTALS = ("total", "total_count")
_GIVEN = ("id", "created_at")


class Different(Exception):
    """Two contenders answer differently; the message says who, where and what."""


async def answers(
    contender: Contender, port: int, endpoints: tuple[Endpoint, ...]
) -> dict[str, list[Any]]:
    """Return what a contender answers to each endpoint's requests, evened out."""
    return {
        endpoint.name: [
            _even(contender, endpoint, await ask(port, request))
            for request in check_requests(endpoint, contender.path(endpoint))
        ]
        for endpoint in endpoints
    }


def compare(found: dict[str, dict[str, list[Any]]]) -> int:
    """Compare everybody, by title, with the first one; return how many answers were equal.

    Raises:
        Different: Two answers differ.
    """
    (first, expected), *others = found.items()
    equal = 0
    for title, theirs in others:
        for name, values in expected.items():
            for number, (ours, answer) in enumerate(zip(values, theirs[name], strict=True)):
                where = _difference(ours, answer, f"{name}, request {number + 1}")
                if where:
                    raise Different(f"{first} and {title} differ: {where}")
                equal += 1
    return equal


def _even(contender: Contender, endpoint: Endpoint, answer: Any) -> Any:
    if envelope := contender.envelopes.get(endpoint.name):
        return answer[envelope]
    if endpoint.name == "E6":
        return {"rows": _first(answer, _ROWS), "total": _first(answer, _TOTALS)}
    if endpoint.name == "E5":
        return {name: "given" if name in _GIVEN else value for name, value in answer.items()}
    return answer


def _first(answer: dict[str, Any], names: tuple[str, ...]) -> Any:
    return next(answer[name] for name in names if name in answer)


def _difference(expected: Any, actual: Any, place: str) -> str | None:
    if isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        pairs = enumerate(zip(expected, actual, strict=True))
        found = (_difference(one, other, f"{place}[{number}]") for number, (one, other) in pairs)
        return next(filter(None, found), None)
    if isinstance(expected, dict) and isinstance(actual, dict) and set(expected) == set(actual):
        found = (_difference(expected[name], actual[name], f"{place}.{name}") for name in expected)
        return next(filter(None, found), None)
    # 1 and 1.0, and 1 and True, are equal in Python and different in JSON.
    if type(expected) is type(actual) and expected == actual:
        return None
    return f"{place}: {str(expected)[:200]!r} against {str(actual)[:200]!r}"
