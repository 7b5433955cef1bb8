"""The shop does what its OpenAPI says: schemathesis sends what fits it, and what does not.

Half of the requests have a valid token and keys of rows that exist. Start at
`test_answers_are_those_that_openapi_tells`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import httpx2
import pytest
import requests
import schemathesis
from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from sqlalchemy import select
from sqlmodel import SQLModel

from examples.shop import models
from examples.shop.application import create_app
from examples.shop.auth import EVERYBODY, customer_token
from examples.shop.seed import seed
from sqlmodelkit import Database
from sqlmodelkit.columns import mapper_of

Case = schemathesis.Case[Any]

TOKEN = "openapi-token"
CASES = 500
"""For each group of routes: there are four, so that each engine answers 2,000 requests."""

GROUPS = {
    "people": ("/customers", "/sign-in", "/health"),
    "products": ("/products",),
    "orders": ("/orders", "/reviews"),
    "words": ("/categories", "/tags", "/addresses"),
}
CHECKS = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
QUIET = settings(
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


class Served(NamedTuple):
    """The shop, what talks to it, and keys of rows that it has."""

    app: FastAPI
    portal: BlockingPortal
    client: httpx2.AsyncClient
    keys: dict[str, list[Any]]

    def send(self, case: Case) -> httpx2.Response:
        """Send a request to the application, in its own event loop."""
        made = requests.Request(**case.as_transport_kwargs(base_url="http://shop")).prepare()
        headers = [(_header(name), _header(value)) for name, value in made.headers.items()]
        body: Any = made.body
        request = self.client.build_request(
            str(made.method),
            str(made.url),
            headers=headers,
            content=body.encode() if isinstance(body, str) else body,
        )
        return self.portal.call(self.client.send, request)

    def known(self, case: Case, choose: st.DataObject) -> None:
        """Give a request a token that is valid, and keys of rows that exist."""
        customer = choose.draw(st.sampled_from([None, None, None, self.keys["customer_id"][0]]))
        token = TOKEN if customer is None else customer_token(self.app, customer)
        case.headers["Authorization"] = f"Bearer {token}"
        entity = case.path.split("/")[1]
        for name in case.path_parameters:
            column = KEYS[entity] if name == "id" else name
            case.path_parameters[name] = str(choose.draw(st.sampled_from(self.keys[column])))
        for body in [case.body, *_inner(case.body)]:
            for name in set(body) & set(self.keys) if isinstance(body, dict) else ():
                body[name] = _plain(choose.draw(st.sampled_from(self.keys[name])))


KEYS = {
    "customers": "customer_id",
    "addresses": "shipping_address_id",
    "products": "product_id",
    "orders": "order_id",
    "reviews": "review_id",
    "categories": "category_id",
    "tags": "tag_id",
}
MODELS: dict[str, type[SQLModel]] = {
    "customer_id": models.Customer,
    "shipping_address_id": models.Address,
    "product_id": models.Product,
    "order_id": models.Order,
    "review_id": models.Review,
    "category_id": models.Category,
    "tag_id": models.Tag,
}


def _header(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("latin-1", "replace")


def _inner(body: Any) -> list[Any]:
    lines = body.get("lines") if isinstance(body, dict) else body
    return lines if isinstance(lines, list) else []


def _plain(key: Any) -> Any:
    return key if isinstance(key, int) else str(key)


async def _keys(db: Database) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    async with db.session(scope=EVERYBODY) as session:
        for name, model in MODELS.items():
            key = mapper_of(model).primary_key[0]
            rows = await (await session.connection()).execute(select(key).order_by(key).limit(5))
            found[name] = list(rows.scalars())
    return found


@contextmanager
def served(url: str) -> Iterator[Served]:
    """A small shop in an event loop of its own: schemathesis and hypothesis know none."""
    with start_blocking_portal() as portal:
        db = Database(url)
        try:
            portal.call(db.create_all)
            portal.call(lambda: seed(db, scale=0.01))
            app = create_app(db, TOKEN)
            transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
            client = httpx2.AsyncClient(transport=transport)
            yield Served(app, portal, client, portal.call(_keys, db))
        finally:
            portal.call(db.close)


@pytest.mark.slow
@pytest.mark.parametrize("group", GROUPS)
def test_answers_are_those_that_openapi_tells(database_url: str, group: str) -> None:
    """No server error, and no status, header or body that is not told."""
    with served(database_url) as shop:
        strategies = list(_strategies(shop.app, GROUPS[group]))
        sent: list[int] = []
        wrong = set()
        for strategy in strategies:

            @settings(QUIET, max_examples=CASES // len(strategies) + 1)
            @given(case=strategy, choose=st.data(), known=st.booleans())
            def answers(case: Case, choose: st.DataObject, known: bool) -> None:
                if known:
                    shop.known(case, choose)
                response = shop.send(case)
                sent.append(response.status_code)
                try:
                    case.validate_response(response, checks=CHECKS)
                except FailureGroup as failures:
                    for failure in failures.exceptions:
                        wrong.add(f"{case.operation.label}: {failure} {case.as_curl_command()}")

            answers()
    assert [] == sorted(wrong)
    assert CASES <= len(sent)
    # They get through to the database, and are refused for every reason.
    assert {200, 201, 401, 404, 422} <= set(sent)


def _strategies(app: FastAPI, starts: tuple[str, ...]) -> Iterator[st.SearchStrategy[Case]]:
    """Make requests to the routes that start so: those that fit, and those that do not."""
    for result in schemathesis.openapi.from_dict(app.openapi()).get_all_operations():
        operation = result.ok()  # type: ignore[union-attr]
        if operation.path.startswith(starts):
            for mode in MODES:
                yield operation.as_strategy(generation_mode=mode)


def test_every_route_is_in_a_group() -> None:
    """None is left out."""
    paths = create_app(Database("sqlite://"), TOKEN).openapi()["paths"]
    starts = tuple(start for group in GROUPS.values() for start in group)
    assert [] == [path for path in paths if not path.startswith(starts)]
