"""The shop as an application: its routes, its database, its life.

Start at `create_app`.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from sqlmodelkit import Database
from sqlmodelkit.fastapi import ErrorBody, install, scoped_by

from examples.shop.auth import current_scope, random_token, set_token
from examples.shop.page import router as page_router
from examples.shop.routers import router

logger = logging.getLogger(__name__)


def create_app(db: Database, token: str | None = None) -> FastAPI:
    """Return the shop over a database.

    Args:
        db: Where its tables are; they are created at start when they are missing.
        token: What writers must send; left out, a random token that is logged.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with db.lifespan(app):
            await db.create_all()
            if token is None:
                logger.warning("SHOP_TOKEN is not set; writers send: %s", app.state.shop_token)
            yield

    app = FastAPI(
        title="The shop",
        description="An example application of sqlmodelkit. Reading is open, writing needs a token; "
        "a customer who has signed in sees the catalogue and his own account.",
        lifespan=lifespan,
        # One place says whose rows a request may see; the tables that have an owner do the rest.
        dependencies=[scoped_by(current_scope)],
        # Whoever sends a token that nobody knows is told so, wherever that is.
        responses={401: {"model": ErrorBody, "description": "This token is not known."}},
    )
    set_token(app, token or random_token())
    install(app, db)
    app.include_router(page_router)
    app.include_router(router)
    return app
