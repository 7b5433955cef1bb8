"""Places in an order of rows, sealed: clients keep them, and cannot read or change them. Ring 1.

Start at `Seal`. Sealing is authenticated encryption whose nonce is the authentication itself (the
construction of RFC 5297, with HMAC-SHA256): it needs no randomness, so the same page has the same
cursors and the same ETag.
"""

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from hashlib import sha256
from typing import Any
from uuid import UUID

from .errors import ConfigError, CursorError

MAX_CURSOR = 4096
"""The most characters of a cursor that is read; longer ones are none of ours."""

_VERSION = b"\x01"
_TAG_BYTES = 16
_BLOCK_BYTES = 32


@dataclass(frozen=True, slots=True)
class Place:
    """A place in an order: just after a row, or just before it.

    Attributes:
        values: What the row is sorted by, in the order's order, as the database's driver gives it.
        backward: Whether the page ends at the place, and does not begin there.
        inclusive: Whether the row itself belongs to the page.
    """

    values: tuple[Any, ...]
    backward: bool = False
    inclusive: bool = False

    @property
    def nulls(self) -> tuple[bool, ...]:
        """Where the row has NULL: what is asked of the database depends on it."""
        return tuple(value is None for value in self.values)


class Seal:
    """Seals places with a secret, and opens what was sealed with it."""

    def __init__(self, secret: bytes) -> None:
        self._signing = _derived(secret, b"sqlmodelkit cursor: sign")
        self._hiding = _derived(secret, b"sqlmodelkit cursor: hide")

    def close(self, place: Place, bound: bytes) -> str:
        """Return a place as a cursor.

        Args:
            place: The place.
            bound: What the cursor is good for; the same is needed to open it.
        """
        parts = [place.backward, place.inclusive, *map(_written, place.values)]
        plain = json.dumps(parts, ensure_ascii=False, separators=(",", ":")).encode()
        # Blanks, so that the length tells little about the values.
        plain += b" " * (-len(plain) % _BLOCK_BYTES)
        tag = self._tag(plain, bound)
        sealed = _VERSION + tag + self._masked(plain, tag)
        return urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def open(self, cursor: str, bound: bytes) -> Place:
        """Return the place of a cursor.

        Raises:
            CursorError: It was not sealed by us, or for something else.
        """
        sealed = _decoded(cursor)
        tag, hidden = sealed[1 : _TAG_BYTES + 1], sealed[_TAG_BYTES + 1 :]
        plain = self._masked(hidden, tag)
        if sealed[:1] != _VERSION or not hmac.compare_digest(tag, self._tag(plain, bound)):
            raise _foreign()
        backward, inclusive, *values = json.loads(plain)
        return Place(tuple(map(_read, values)), backward, inclusive)

    def _tag(self, plain: bytes, bound: bytes) -> bytes:
        # What is bound has a length of its own, so that the two cannot run into each other.
        said = len(bound).to_bytes(8) + bound + plain
        return hmac.digest(self._signing, _VERSION + said, sha256)[:_TAG_BYTES]

    def _masked(self, data: bytes, tag: bytes) -> bytes:
        blocks = range((len(data) + _BLOCK_BYTES - 1) // _BLOCK_BYTES)
        stream = b"".join(
            hmac.digest(self._hiding, tag + number.to_bytes(4), sha256) for number in blocks
        )
        return bytes(part ^ mask for part, mask in zip(data, stream, strict=False))


def _derived(secret: bytes, purpose: bytes) -> bytes:
    return hmac.digest(secret, purpose, sha256)


def _foreign() -> CursorError:
    return CursorError(
        "The cursor does not belong to this list.",
        hint="Leave it out to begin anew; filters and sort must be those it was given for.",
        fields=["cursor"],
    )


def _decoded(cursor: str) -> bytes:
    if len(cursor) > MAX_CURSOR or not cursor.isascii():
        raise _foreign()
    try:
        sealed = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except ValueError:
        raise _foreign() from None
    # Decoding skips what is no letter of the alphabet; a place has one cursor and no others.
    if urlsafe_b64encode(sealed).rstrip(b"=").decode() != cursor:
        raise _foreign()
    return sealed


_WRITERS: Mapping[type[Any], tuple[str, Callable[[Any], Any]]] = {
    float: ("f", float.hex),
    Decimal: ("n", str),
    datetime: ("t", datetime.isoformat),
    date: ("d", date.isoformat),
    time: ("h", time.isoformat),
    timedelta: ("i", lambda span: [span.days, span.seconds, span.microseconds]),
    bytes: ("b", bytes.hex),
    UUID: ("u", str),
}
_READERS: Mapping[str, Callable[[Any], Any]] = {
    "f": float.fromhex,
    "n": Decimal,
    "t": datetime.fromisoformat,
    "d": date.fromisoformat,
    "h": time.fromisoformat,
    "i": lambda parts: timedelta(*parts),
    "b": bytes.fromhex,
    "u": UUID,
}


def _written(value: Any) -> Any:
    """Return a value as JSON that tells its type, and loses nothing of it."""
    kind = type(value)
    if value is None or kind in (str, int, bool):
        return value
    if kind not in _WRITERS:
        raise ConfigError(
            f"A value of the type {kind.__name__} cannot stand in a cursor.",
            hint="Sort by another field.",
        )
    letter, write = _WRITERS[kind]
    return [letter, write(value)]


def _read(written: Any) -> Any:
    return _READERS[written[0]](written[1]) if isinstance(written, list) else written


def fingerprint(*parts: Any) -> bytes:
    """Return a short text that stands for the parts, the same in every process.

    Raises:
        ConfigError: A part has nothing that tells it from others of its type.
    """
    return sha256(json.dumps(_canonical(parts), ensure_ascii=True).encode()).digest()


def _canonical(part: Any) -> Any:
    kind = type(part)
    if part is None or kind in (str, int, bool):
        return part
    if kind in _WRITERS:
        return _written(part)
    if isinstance(part, Enum):
        return ["enum", kind.__qualname__, part.name]
    if isinstance(part, (tuple, list)):
        return ["list", *map(_canonical, part)]
    if isinstance(part, (set, frozenset)):
        return ["set", *sorted(json.dumps(_canonical(each)) for each in part)]
    if isinstance(part, Mapping):
        return ["map", *sorted([str(name), _canonical(value)] for name, value in part.items())]
    if getattr(kind, "__repr__", None) is object.__repr__:
        raise ConfigError(
            f"A cursor cannot be bound to a value of the type {kind.__qualname__}.",
            hint="Give the type a __repr__ that shows its value.",
        )
    return ["other", kind.__qualname__, repr(part)]
