"""Who may see and write what: the shop by its token, a customer by his own.

The shop is open: who sends no token sees everything and changes nothing. A customer who has
signed in sees the catalogue and his own account; `current_scope` says so, and the tables do the
rest. Start at `current_customer`.
"""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, FastAPI, HTTPException, Request, status
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from sqlmodelkit import Scope
from sqlmodelkit.fastapi import ErrorItem

EVERYBODY = Scope(leaving=["customer"])
"""The scope of the shop itself, which sees the rows of all customers."""

bearer = HTTPBearer(
    auto_error=False, description="The shop's token, from SHOP_TOKEN, or a customer's, by /sign-in."
)
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]


def random_token() -> str:
    """Return a token that nobody can guess."""
    return secrets.token_urlsafe(24)


def set_token(app: FastAPI, token: str) -> None:
    """Let those who send `token` write in `app`."""
    app.state.shop_token = token


def customer_token(app: FastAPI, customer_id: UUID) -> str:
    """Return what a customer sends from now on: his key, signed by the shop."""
    secret: str = app.state.shop_token
    signature = hmac.new(secret.encode(), customer_id.bytes, hashlib.sha256).hexdigest()
    return f"{customer_id}.{signature}"


async def current_customer(request: Request, credentials: Credentials) -> UUID | None:
    """Return the key of the customer who has signed in, None for the shop and for no token.

    Raises:
        HTTPException: The token is neither the shop's nor a customer's.
    """
    if credentials is None or _is_shop(request, credentials):
        return None
    key = credentials.credentials.partition(".")[0]
    try:
        customer_id = UUID(key)
    except ValueError:
        raise _unknown("This token is not known.") from None
    if not _same(credentials.credentials, customer_token(request.app, customer_id)):
        raise _unknown("This token is not known.")
    return customer_id


CustomerDep = Annotated[UUID | None, Depends(current_customer)]


async def current_scope(customer: CustomerDep) -> Scope | Mapping[str, Any]:
    """Return what the request may see: a customer his own rows, all others everything."""
    return EVERYBODY if customer is None else {"customer": customer}


async def current_caller(customer: CustomerDep) -> str:
    """Return who sends a request: the keys of two customers must not meet."""
    return "shop" if customer is None else str(customer)


async def require_token(request: Request, credentials: Credentials) -> None:
    """Let a request pass that carries the shop's token.

    Raises:
        HTTPException: It carries none, or another one.
    """
    if not _is_shop(request, credentials):
        raise _unknown(
            "This needs the shop's token: send the header Authorization: Bearer <token>."
        )


async def require_account(
    request: Request, credentials: Credentials, customer: CustomerDep
) -> None:
    """Let a request pass of a customer who has signed in, or of the shop.

    Raises:
        HTTPException: It carries no token.
    """
    if customer is None:
        await require_token(request, credentials)


WRITER = [Depends(require_token)]
ACCOUNT = [Depends(require_account)]


def _is_shop(request: Request, credentials: HTTPAuthorizationCredentials | None) -> bool:
    expected: str = request.app.state.shop_token
    return _same(credentials.credentials if credentials else "", expected)


def _same(given: str, expected: str) -> bool:
    # Compared in constant time: how long it takes must not tell how much of a guess was right.
    return secrets.compare_digest(given.encode(), expected.encode())


def _unknown(message: str) -> HTTPException:
    return refusal(message, "header", "Authorization", headers={"WWW-Authenticate": "Bearer"})


def refusal(message: str, *place: str, headers: Mapping[str, str] | None = None) -> HTTPException:
    """Return a 401 in the form that all errors of the shop have."""
    item = ErrorItem(loc=[*place], msg=message, type="unauthorized")
    return HTTPException(status.HTTP_401_UNAUTHORIZED, [item.model_dump()], headers)
