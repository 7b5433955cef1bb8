"""The user's project is found from any place in it, and all of its tables with it."""

import subprocess
import sys
from pathlib import Path

import pytest

from sqlmodelkit import ConfigError
from sqlmodelkit.projects import find_object, find_project, settings_here

TABLE = "from sqlmodel import Field, SQLModel\n\n\nclass {name}(SQLModel, table=True):\n    id: int = Field(primary_key=True)\n"
LOAD = """
from sqlmodelkit import SQLModelKitError
from sqlmodelkit.projects import find_project

try:
    project = find_project()
    print(*sorted(project.load_models().tables))
    print(project.load_app().title)
except SQLModelKitError as error:
    print(error)
"""


def write(root: Path, files: dict[str, str]) -> None:
    """Write files with their directories."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def load(root: Path) -> list[str]:
    """Load a project in a process of its own; answer the lines it prints."""
    done = subprocess.run(
        [sys.executable, "-c", LOAD], cwd=root, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def test_our_table_is_read(tmp_path: Path) -> None:
    """From any directory of the project, with everything it says."""
    (tmp_path / "pyproject.toml").write_text(
        '[tool.sqlmodelkit]\nentrypoint = "app.main:app"\nmodels = ["app.models"]\n'
        'migrations = "alembic"\nseed = "app.seed:seed"\nbase = "app.models:Base"\n'
    )
    (tmp_path / "app" / "models").mkdir(parents=True)
    project = find_project(tmp_path / "app" / "models")
    assert (tmp_path, "app.main:app", ("app.models",)) == (
        project.root,
        project.entrypoint,
        project.models,
    )
    assert (tmp_path / "alembic", "app.seed:seed", "app.models:Base") == (
        project.migrations,
        project.seed,
        project.base,
    )


def test_the_table_of_fastapi_is_enough(tmp_path: Path) -> None:
    """The models are then looked for in the whole package of the application."""
    (tmp_path / "pyproject.toml").write_text('[tool.fastapi]\nentrypoint = "app.main:app"\n')
    project = find_project(tmp_path)
    assert ("app.main:app", ("app",), tmp_path / "migrations") == (
        project.entrypoint,
        project.models,
        project.migrations,
    )


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "does not say where the application is."),
        ("[tool.sqlmodelkit", "cannot be read"),
        ("[tool.sqlmodelkit]\nentrypiont = 'a:b'", "has entrypiont in [tool.sqlmodelkit]"),
        ("[tool.sqlmodelkit]\nmodels = 'app'", "has models = 'app' in [tool.sqlmodelkit]"),
        ("[tool.sqlmodelkit]\nmodels = [1]", "has models = [1] in [tool.sqlmodelkit]"),
        ("[tool.sqlmodelkit]\nseed = 1", "has seed = 1 in [tool.sqlmodelkit]"),
    ],
)
def test_what_is_missing_or_wrong_is_said(tmp_path: Path, text: str, complaint: str) -> None:
    """With the file in which to put it right."""
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        find_project(tmp_path)
    assert complaint in str(caught.value)
    assert str(tmp_path / "pyproject.toml") in str(caught.value)


def test_outside_of_a_project_there_is_none(tmp_path: Path) -> None:
    """The message says where it was looked for."""
    with pytest.raises(ConfigError, match=r"There is no pyproject\.toml in .* or above it"):
        find_project(tmp_path)


def test_no_module_of_the_models_is_forgotten(tmp_path: Path) -> None:
    """Tables count though nobody imports their modules, packages in packages included."""
    write(
        tmp_path,
        {
            "pyproject.toml": '[tool.sqlmodelkit]\nentrypoint = "app.main:app"\n',
            "app/__init__.py": "",
            "app/__main__.py": "raise SystemExit('nobody runs this')\n",
            "app/main.py": "from fastapi import FastAPI\n\napp = FastAPI(title='Found')\n",
            "app/models/__init__.py": "",
            "app/models/heroes.py": TABLE.format(name="Hero"),
            "app/models/deep/__init__.py": "",
            "app/models/deep/teams.py": TABLE.format(name="Team"),
        },
    )
    assert ["hero team", "Found"] == load(tmp_path)


@pytest.mark.parametrize(
    ("module", "complaint"),
    [
        ("", "There is no table in app. Name the packages of your tables in"),
        ("import nowhere", "app.models cannot be imported: it needs the module 'nowhere'."),
        ("1 / 0", "app.models cannot be imported: ZeroDivisionError: division by zero"),
    ],
)
def test_models_that_cannot_be_loaded_are_named(
    tmp_path: Path, module: str, complaint: str
) -> None:
    """Nothing is left out in silence: a table that is forgotten would be dropped."""
    write(
        tmp_path,
        {
            "pyproject.toml": '[tool.sqlmodelkit]\nentrypoint = "app.main:app"\n',
            "app/__init__.py": "",
            "app/models.py": module,
        },
    )
    (said,) = load(tmp_path)
    assert said.startswith(complaint)


def test_an_application_is_one_of_fastapi() -> None:
    """What is named must be what is looked for."""
    with pytest.raises(ConfigError, match=r"tests\.tables:nothing is not a str"):
        find_object("tests.tables:nothing", str)


def test_settings_come_from_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment first, then the project's `.env`; other addresses stay as they are."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("DATABASE_URL=postgresql://a:secret@db/x\nDB_POOL_SIZE=7\n")
    monkeypatch.delenv("DATABASE_URL", raising=False)
    settings = settings_here()
    assert ("postgresql://a:secret@db/x", 7) == (settings.url, settings.pool_size)
    monkeypatch.setenv("DATABASE_URL", "sqlite://")
    assert "sqlite://" == settings_here().url
