"""A tree of conditions as JSON, for OR and NOT: `{"or": [{"age__lt": 3}, {"not": {"age": 5}}]}`.

The names, types and caps are those of the query parameters. Start at `read_tree`.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from sqlmodelkit.filters import MAX_CONDITIONS, Where, all_of, any_of, not_, where

from .parameters import Parameter, canonical

MAX_TREE_DEPTH = 5
MAX_TREE_TEXT = 8000
_SCALARS = {None: "null", True: "true", False: "false"}

Place = tuple[str | int, ...]


def read_tree(text: str, known: Mapping[str, Parameter]) -> Where:
    """Return the filter that a text means.

    Args:
        text: A JSON object.
        known: The filters that are allowed, by name.

    Raises:
        RequestValidationError: It names the place in the tree.
    """
    place: Place = ("query", "filter")
    if len(text) > MAX_TREE_TEXT:
        _refuse(place, f"The filter is longer than {MAX_TREE_TEXT} characters.")
    try:
        tree = json.loads(text, object_pairs_hook=_unique, parse_constant=_constant)
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        _refuse(place, f"The filter is not JSON: {reason}.", "json_invalid")
    return _Tree(known).read(tree, place, 1)


class _Tree:
    """Reads a tree, and counts what is in it."""

    def __init__(self, known: Mapping[str, Parameter]) -> None:
        self.known = known
        self.number = 0

    def read(self, tree: Any, place: Place, depth: int) -> Where:
        if depth > MAX_TREE_DEPTH:
            _refuse(place, f"The filter is more than {MAX_TREE_DEPTH} deep.")
        if not isinstance(tree, dict) or not tree:
            _refuse(place, 'This must be an object with conditions, as in {"or": [...]}.')
        parts = [self._part(name, inner, (*place, name), depth) for name, inner in tree.items()]
        # Conditions stand in the group itself: a level less for the cap on groups.
        groups = tuple(part for part in parts if not part.conditions)
        return Where(groups, tuple(one for part in parts for one in part.conditions))

    def _part(self, name: str, inner: Any, place: Place, depth: int) -> Where:
        if name in ("and", "or"):
            if not isinstance(inner, list) or not inner:
                _refuse(place, "This must be a list of objects with conditions.")
            join: Callable[..., Where] = any_of if name == "or" else all_of
            return join(*[self.read(part, (*place, n), depth + 1) for n, part in enumerate(inner)])
        if name == "not":
            return not_(self.read(inner, place, depth + 1))
        self.number += 1
        if self.number > MAX_CONDITIONS:
            _refuse(place, f"There are more than {MAX_CONDITIONS} conditions.")
        known = canonical(name)
        known = known if known in self.known else known.removesuffix("__eq")
        if known not in self.known:
            allowed = ", ".join(["and", "or", "not", *self.known])
            _refuse(place, f"There is no filter {name[:80]!r}. Filters are {allowed}.")
        return where(**{known: self._value(self.known[known], inner, place)})

    def _value(self, parameter: Parameter, value: Any, place: Place) -> Any:
        null = parameter.operator in ("is", "is_not")
        if value is None and (null or parameter.operator in ("eq", "ne")):
            return None
        if null:
            if value is not True and value is not False:
                _refuse(place, "This must be null, true or false.")
            value = _SCALARS[value]
        elif not parameter.inside and parameter.kind is not bool and _has_flag(value):
            # To Pydantic, true is also the number 1.
            _refuse(place, "This must not be true or false.")
        try:
            read = parameter.adapter.validate_python(value)
        except ValidationError as error:
            raise RequestValidationError(
                [
                    {**problem, "loc": (*place, *problem["loc"])}
                    for problem in error.errors(include_url=False)
                ]
            ) from error
        return value == "true" if null else read


def _has_flag(value: Any) -> bool:
    return any(isinstance(one, bool) for one in (value if isinstance(value, list) else [value]))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse an object that names something twice: one of them would be left out."""
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        raise ValueError("an object has the same name twice")
    return dict(pairs)


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _refuse(place: Place, message: str, kind: str = "filter_error") -> NoReturn:
    raise RequestValidationError([{"type": kind, "loc": place, "msg": message, "input": None}])
