"""What a server runs: `uvicorn examples.shop.main:app`.

The database is what DATABASE_URL names, or SQLite in ./shop.db. An empty one stays empty here;
`python -m examples.shop` fills it first.
"""

from .application import create_app
from .settings import given_token, open_database

__all__ = ["app", "create_app"]

app = create_app(open_database(), given_token())
