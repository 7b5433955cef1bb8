"""ETag and If-Match: a client changes what it has read, or is told that it has changed since.

Start at `IfMatch`. See RFC 9110, sections 8.8.3 and 13.1.1, and RFC 6585, section 3.
"""

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from fastapi import Request
from pydantic import BaseModel
from pydantic_core import from_json
from sqlalchemy import select

from sqlmodelkit.columns import cached, key_values, mapper_of
from sqlmodelkit.errors import BadRequest, StaleVersion
from sqlmodelkit.models import Version
from sqlmodelkit.service import ServiceBase

AnyService = ServiceBase[Any, Any, Any]

HEADER = "If-Match"
_ENTITY_TAG = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_LIST = re.compile(rf"[ \t]*(?:{_ENTITY_TAG})?(?:[ \t]*,[ \t]*(?:{_ENTITY_TAG})?)*[ \t]*")
_VERSIONED = re.compile(r'"(-?\d{1,9})-[0-9a-f]+"')


class PreconditionFailed(StaleVersion):
    """The row is no longer what If-Match says."""


class PreconditionRequired(BadRequest):
    """A change has to say by If-Match which state of the row it is for."""


def tag_of(body: bytes, *, versioned: bool = False) -> str:
    """Return the entity tag of an answer: of its bytes, after the row's version if that is in it."""
    tag = sha256(body).hexdigest()[:32]
    return f'"{from_json(body)["version"]}-{tag}"' if versioned else f'"{tag}"'


@cached
def is_versioned(service_class: type[AnyService], into: type[BaseModel]) -> bool:
    """Tell whether the version of a row stands for all of an answer: it shows that, and no other row.

    Then the statement that writes can compare, and nothing needs to be read before.
    """
    field = into.model_fields.get("version")
    plain = all(
        getattr(service_class, name) is getattr(ServiceBase, name)
        for name in ("get", "get_json", "update", "update_json", "delete")
    )
    return (
        plain
        and issubclass(service_class.model, Version)
        and field is not None
        and field.annotation is int
        and field.serialization_alias in (None, "version")
        and not field.exclude
        and service_class.plan(into).is_flat
    )


@dataclass(frozen=True, slots=True)
class IfMatch:
    """What a request says of the state that it is for.

    Attributes:
        tags: The strong tags; a weak one matches nothing.
        anything: Whether any state will do, as long as there is one.
    """

    tags: frozenset[str]
    anything: bool = False

    @classmethod
    def of(cls, request: Request, *, required: bool = False) -> "IfMatch | None":
        """Read the request's If-Match; None when it has none.

        What is no list of tags matches nothing.

        Raises:
            PreconditionRequired: It has none, and has to.
        """
        lines = request.headers.getlist(HEADER)
        if not lines:
            if required:
                raise PreconditionRequired(
                    hint="Send the ETag of what you have read as If-Match.", fields=[HEADER]
                )
            return None
        text = ", ".join(lines)
        if text.strip(" \t") == "*":
            return cls(frozenset(), anything=True)
        found = re.findall(_ENTITY_TAG, text) if _LIST.fullmatch(text) else []
        return cls(frozenset(tag for tag in found if not tag.startswith("W/")))

    def version(self) -> int | None:
        """Return the version that is asked for, None when it is not exactly one."""
        found = [_VERSIONED.fullmatch(tag) for tag in self.tags]
        return int(found[0][1]) if len(found) == 1 and found[0] is not None else None

    async def hold(
        self, rows: AnyService, key: Any, into: type[BaseModel], *, versioned: bool
    ) -> None:
        """Lock a row until the unit of work ends, and compare its answer with the tags.

        Raises:
            NotFound: There is no such row.
            PreconditionFailed: It is in another state.
        """
        seen = await _seen(rows, key)
        await rows.get(key, lock=True)
        body = await rows.get_json(key, into=into)
        moved = seen is not None and seen != await _stored(rows, key, lock=True)
        if moved or tag_of(body, versioned=versioned) not in self.tags:
            raise failed(rows)


def failed(rows: AnyService) -> PreconditionFailed:
    """Return the error of a change to a state that is gone."""
    return PreconditionFailed(
        f"This {rows.model.__name__} was changed in the meantime.",
        hint="Read it again and repeat the change.",
        fields=[HEADER],
        model=rows.model.__name__,
    )


async def _seen(rows: AnyService, key: Any) -> Any:
    """Return the row as this transaction sees it, where that may be older than what is locked.

    MariaDB and MySQL read from the snapshot of the first statement, a lock is of the latest row.
    """
    session = rows.session
    old = session.in_transaction() and session.get_bind().dialect.name in ("mysql", "mariadb")
    return await _stored(rows, key, lock=False) if old else None


async def _stored(rows: AnyService, key: Any, *, lock: bool) -> Any:
    table: Any = mapper_of(rows.model).local_table
    parts = key_values(rows.model, key).values()
    statement = select(table).where(
        *(column == part for column, part in zip(table.primary_key, parts, strict=True))
    )
    connection = await rows.session.connection()
    found = await connection.execute(statement.with_for_update() if lock else statement)
    row = found.one_or_none()
    return () if row is None else tuple(row)
