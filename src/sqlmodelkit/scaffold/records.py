"""What a project was made with, kept in the project: so an update knows what a person has changed.

Start at `Record`. Decision 0066 says why it is kept there.
"""

import base64
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from sqlmodelkit.errors import ConfigError

RECORD = ".sqlmodelkit.json"
_WIDTH = 96
_ABOUT = (
    "Made by sqlmodelkit: commit it, and leave it as it is. `sqlmodelkit new --update` reads it."
)


def find_record(start: Path) -> Path:
    """Return the directory of the nearest project with a record, or `start` where there is none."""
    places = (start, *start.parents)
    return next((place for place in places if (place / RECORD).is_file()), start)


@dataclass(frozen=True, slots=True)
class Record:
    """A template as it was when a project was made, or updated.

    Attributes:
        version: The version of sqlmodelkit.
        choices: What was chosen: name, database, size.
        files: The template's files, by name.
    """

    version: str
    choices: Mapping[str, str]
    files: Mapping[str, str]

    @classmethod
    def read(cls, root: Path) -> "Record":
        """Return the record of a project.

        Raises:
            ConfigError: There is none, or it cannot be read.
        """
        path = root / RECORD
        if not path.is_file():
            raise ConfigError(
                f"There is no {RECORD} in {root}: what the project was made with is not known.",
                hint="Run it in the root of a project that sqlmodelkit new has made. In one made "
                "before there was such a file: make a new one of the same name and size elsewhere, "
                f"take over by hand what you like, and copy its {RECORD}; updates work from then on.",
            )
        try:
            told = json.loads(path.read_text(encoding="utf-8"))
            packed = base64.b85decode("".join(told["files"]))
            files = json.loads(zlib.decompress(packed))
            record = cls(str(told["version"]), dict(told["choices"]), dict(files))
        except (ValueError, KeyError, TypeError, zlib.error) as error:
            raise ConfigError(
                f"{path} cannot be read: {type(error).__name__}: {error}.",
                hint="Take it from the history of the project, as it was committed last.",
            ) from error
        for name in record.files:
            if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                raise ConfigError(f"{path} names {name}, which is not in the project.")
        return record

    def text(self) -> str:
        """Return the record as it is kept: the files are compressed."""
        plain = json.dumps(dict(sorted(self.files.items()))).encode()
        packed = base64.b85encode(zlib.compress(plain, 9)).decode()
        told: dict[str, Any] = {
            "about": _ABOUT,
            "version": self.version,
            "choices": dict(self.choices),
            "files": [packed[at : at + _WIDTH] for at in range(0, len(packed), _WIDTH)],
        }
        return json.dumps(told, indent=2) + "\n"
