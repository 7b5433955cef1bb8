"""What all contenders are given: the database's address and how many connections they may hold."""

import os

from sqlalchemy.engine import make_url

URL = os.environ["BENCHMARK_URL"]
CONNECTIONS = int(os.environ["BENCHMARK_CONNECTIONS"])


def driver_url() -> str:
    """Return the address as asyncpg takes it."""
    return make_url(URL).set(drivername="postgresql").render_as_string(hide_password=False)
