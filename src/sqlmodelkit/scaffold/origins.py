"""Where this package was installed from.

Start at `installed_from`.
"""

import json
from importlib.metadata import distribution
from urllib.parse import urlsplit
from urllib.request import url2pathname


def installed_from() -> str | None:
    """Return the file, checkout or repository that this package came from; None for an index.

    Installers write it down: https://packaging.python.org/en/latest/specifications/direct-url/
    """
    return origin(distribution("sqlmodelkit").read_text("direct_url.json"))


def origin(record: str | None) -> str | None:
    """Return what an installer's record names, as one gives it to an installer again."""
    if record is None:
        return None
    told = json.loads(record)
    url = urlsplit(told["url"])
    if "vcs_info" in told:
        return f"{told['vcs_info']['vcs']}+{told['url']}@{told['vcs_info']['commit_id']}"
    return url2pathname(url.path) if url.scheme == "file" else str(told["url"])
