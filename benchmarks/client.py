"""A few single requests, for what is compared and counted rather than timed."""

import asyncio
import json
import urllib.error
import urllib.request
from typing import Any

from .endpoints import Request


async def ask(port: int, request: Request) -> Any:
    """Send one request and return the parsed JSON of the answer.

    Raises:
        RuntimeError: The status is not a 2xx.
    """
    return await asyncio.to_thread(_ask, port, request)


def _ask(port: int, request: Request) -> Any:
    prepared = urllib.request.Request(
        f"http://127.0.0.1:{port}{request.path}",
        data=request.body or None,
        headers={"Content-Type": "application/json"},
        method=request.method,
    )
    try:
        with urllib.request.urlopen(prepared, timeout=60) as response:  # noqa: S310 - to 127.0.0.1
            return json.loads(response.read())
    except urllib.error.HTTPError as error:
        text = error.read().decode(errors="replace")
        raise RuntimeError(f"{request.method} {request.path}: {error.code} {text}") from error
