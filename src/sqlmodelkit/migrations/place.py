"""What migrations are about, and how a directory for them is made.

Start at `Schema`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from sqlalchemy import MetaData

from sqlmodelkit.errors import ConfigError
from sqlmodelkit.projects import Project
from sqlmodelkit.settings import DatabaseSettings

FILE_TEMPLATE = "%%(year)d_%%(month).2d_%%(day).2d_%%(hour).2d%%(minute).2d_%%(rev)s_%%(slug)s"
ENVIRONMENT = '''"""Run by Alembic: the models, the database and the options come from the project."""

from sqlmodelkit.migrations import run_environment

run_environment()
'''
SCRIPT = '''"""${message}

Revision: ${up_revision}
Revises: ${down_revision | comma,n}
Created: ${create_date}
"""

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}
revision = ${repr(up_revision).replace("'", '"')}
down_revision = ${repr(down_revision).replace("'", '"')}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
'''


@dataclass(frozen=True, slots=True)
class Schema:
    """What migrations are about.

    Attributes:
        metadata: The tables of the models.
        directory: Where the migrations are.
        settings: Where the database is.
    """

    metadata: MetaData
    directory: Path
    settings: DatabaseSettings

    @classmethod
    def of(cls, project: Project, *, settings: DatabaseSettings | None = None) -> Self:
        """Return what the migrations of a project are about.

        Raises:
            ConfigError: A module cannot be imported, there is no table, or a setting is wrong.
        """
        return cls(project.load_models(), project.migrations, settings or project.settings())

    def check(self) -> None:
        """Refuse a schema that would drop every table, or has no directory.

        Raises:
            ConfigError: No model is known, or there is no environment for migrations.
        """
        if not self.metadata.tables:
            raise ConfigError(
                "No table is known: a migration would drop every table.",
                hint='Name the packages of your models: [tool.sqlmodelkit] models = ["app.models"].',
            )
        if not (self.directory / "env.py").is_file():
            raise ConfigError(
                f"There are no migrations in {self.directory}.", hint="Run sqlmodelkit db init."
            )


def init(directory: Path, *, pyproject: Path | None = None) -> list[Path]:
    """Write the environment of migrations, and return the files that were written or changed.

    Args:
        directory: Where the migrations shall be.
        pyproject: The file that shall tell Alembic's own command where they are.

    Raises:
        ConfigError: The directory has something in it already.
    """
    if directory.exists() and any(directory.iterdir()):
        raise ConfigError(
            f"{directory} is there already.", hint="Nothing was written; remove it to begin anew."
        )
    (directory / "versions").mkdir(parents=True)
    written = []
    for name, text in {"env.py": ENVIRONMENT, "script.py.mako": SCRIPT}.items():
        path = directory / name
        path.write_text(text, encoding="utf-8")
        written.append(path)
    keep = directory / "versions" / ".gitkeep"
    keep.touch()
    written.append(keep)
    if pyproject is not None and pyproject.is_file() and _tell_alembic(directory, pyproject):
        written.append(pyproject)
    return written


def _tell_alembic(directory: Path, pyproject: Path) -> bool:
    text = pyproject.read_text(encoding="utf-8")
    if "[tool.alembic]" in text:
        return False
    place = directory.relative_to(pyproject.parent).as_posix()
    pyproject.write_text(
        f"{text.rstrip()}\n\n[tool.alembic]\n"
        f'script_location = "%(here)s/{place}"\n'
        f'file_template = "{FILE_TEMPLATE}"\n',
        encoding="utf-8",
    )
    return True
