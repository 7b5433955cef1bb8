"""Who may write: everybody who knows the shop's token.

Start at `require_token`, the dependency that guards every writing route.
"""

import os
import secrets
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request, status
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

bearer = HTTPBearer(auto_error=False, description="The shop's token, from SHOP_TOKEN.")


def choose_token() -> str:
    """Return SHOP_TOKEN, or a new random token when it is not set."""
    return os.environ.get("SHOP_TOKEN") or secrets.token_urlsafe(24)


def set_token(app: FastAPI, token: str) -> None:
    """Let those who send `token` write in `app`."""
    app.state.shop_token = token


async def require_token(
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)],
) -> None:
    """Let a request pass that carries the token.

    Raises:
        HTTPException: It carries none, or another one.
    """
    expected: str = request.app.state.shop_token
    given = credentials.credentials if credentials else ""
    # Compared in constant time: how long it takes must not tell how much of a guess was right.
    if not secrets.compare_digest(given.encode(), expected.encode()):
        raise HTTPException(
            status.HTTP_401_UNAUTHORIZED,
            "Writing needs the shop's token: send the header Authorization: Bearer <token>.",
            headers={"WWW-Authenticate": "Bearer"},
        )
