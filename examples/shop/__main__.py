"""`python -m examples.shop`: fill the shop when it is empty, say where it is, and serve it.

It listens on 127.0.0.1 only.
"""

import argparse
import asyncio
import json
import logging
import os
import socket
import sys
import time

import uvicorn
from sqlmodelkit import Database, SQLModelKitError

from .application import create_app
from .auth import EVERYBODY
from .page import samples
from .seed import DEMO_PASSWORD, Progress, seed
from .settings import choose_token, open_database

HOST = "127.0.0.1"


class PortTaken(Exception):
    """The port that was asked for is not free."""


def main() -> int:
    """Run the command and return its exit status."""
    arguments = _parser().parse_args()
    try:
        asyncio.run(_run(arguments.port, arguments.scale))
    except KeyboardInterrupt:
        pass  # pressed while the shop was filled: what is below says the same
    except SQLModelKitError as error:
        print(f"The shop cannot open: {error}", file=sys.stderr)
        return 1
    except PortTaken as error:
        print(f"{error}\nChoose another one, as in: make demo PORT=8765", file=sys.stderr)
        return 1
    print("\nThe shop is closed.")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m examples.shop",
        description="Serve the example shop on this machine.",
        epilog="DATABASE_URL names another database than SQLite in ./shop.db, "
        "SHOP_TOKEN the token that writers send.",
    )
    parser.add_argument("--port", type=int, default=8000, help="8000; 0 takes a free one")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="size of the data when the shop is empty; 1"
    )
    return parser


async def _run(port: int, scale: float) -> None:
    with _bind(port) as listener:
        db = open_database()
        try:
            await _fill(db, scale)
            # Only now does anybody get through to the port: who does is served at once.
            _listen(listener)
            await _serve(db, listener)
        finally:
            await db.close()


def _bind(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # A port that was closed a moment ago may be taken again; one in use may not.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except (OSError, OverflowError) as error:
        listener.close()
        raise PortTaken(f"Port {port} cannot be used: {_reason(error)}.") from error
    return listener


def _listen(listener: socket.socket) -> None:
    try:
        listener.listen()
    except OSError as error:
        port = listener.getsockname()[1]
        raise PortTaken(f"Port {port} was taken meanwhile: {_reason(error)}.") from error


def _reason(error: OSError | OverflowError) -> str:
    return getattr(error, "strerror", None) or "it must be between 0 and 65535"


async def _fill(db: Database, scale: float) -> None:
    print(f"Looking into {db.engine.url.render_as_string()}", flush=True)
    start = time.perf_counter()
    await db.create_all()
    rows = await seed(db, scale=scale, report=Progress())
    if rows:
        seconds = time.perf_counter() - start
        print(f"The shop is filled: {rows:,} rows in {seconds:.1f} s.\n", flush=True)
    else:
        print("It has its data already.\n", flush=True)


class _Server(uvicorn.Server):
    """Says where the shop is once it is open, when Ctrl-C is listened for."""

    welcome = ""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print(self.welcome, flush=True)


async def _serve(db: Database, listener: socket.socket) -> None:
    token = choose_token()
    server = _Server(uvicorn.Config(create_app(db, token)))
    # The welcome says where the shop is; requests are worth a line each, uvicorn's start is not.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    server.welcome = await _welcome(db, f"http://{HOST}:{listener.getsockname()[1]}", token)
    await server.serve(sockets=[listener])


async def _welcome(db: Database, base: str, token: str) -> str:
    async with db.session(scope=EVERYBODY) as session:
        keys = await samples(session)
    line = json.dumps({"product_id": keys["product_id"], "quantity": 1})
    given = "SHOP_TOKEN" in os.environ
    return f"""The shop is open; Ctrl-C closes it.

  {base}/                what there is to try
  {base}/docs            every endpoint
  {base}/products?limit=20&status=active&price__lte=50&sort=-price
  {base}/orders/{keys["order_id"]}

Writing needs a token: {"the value of SHOP_TOKEN" if given else token}
All customers have the password: {DEMO_PASSWORD}

  curl -X POST {base}/orders/place \\
    -H "Authorization: Bearer {"$SHOP_TOKEN" if given else token}" \\
    -H "Content-Type: application/json" \\
    -d '{{"customer_id": "{keys["customer_id"]}", "lines": [{line}]}}'
"""


if __name__ == "__main__":
    sys.exit(main())
