"""What users import: few names, all explained, and present in what is installed."""

import importlib
import inspect
import re
import tomllib
import zipfile
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import pytest
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "sqlmodelkit"
MOST_NAMES = 64
MODULES = ("sqlmodelkit", "sqlmodelkit.fastapi")
NAMES = [(module, name) for module in MODULES for name in importlib.import_module(module).__all__]


@pytest.fixture(params=MODULES)
def module(request: pytest.FixtureRequest) -> ModuleType:
    """A module that users import from."""
    return importlib.import_module(request.param)


@pytest.fixture(scope="module")
def prose() -> str:
    """All that a user reads: the README and the guide."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs" / "guide").glob("*.md"))]
    return "\n".join(page.read_text() for page in pages)


def test_names_are_few_and_sorted(module: ModuleType) -> None:
    """`__all__` can be read at a glance."""
    assert sorted(set(module.__all__)) == list(module.__all__)
    assert len(module.__all__) <= MOST_NAMES


@pytest.mark.parametrize(("module_name", "name"), NAMES)
def test_names_resolve_and_are_explained(module_name: str, name: str) -> None:
    """Each name leads to something that says what the caller gets."""
    found = getattr(importlib.import_module(module_name), name)
    if inspect.isclass(found) or inspect.isroutine(found):
        assert inspect.getdoc(found)
        assert found.__doc__  # its own, not that of the class it inherits from


@pytest.mark.parametrize(("module_name", "name"), NAMES)
def test_names_are_used_in_the_guide(module_name: str, name: str, prose: str) -> None:
    """A public name pays its rent: some page shows what it is good for."""
    assert re.search(rf"\b{re.escape(name)}\b", prose)


def test_the_version_is_the_installed_one() -> None:
    """What is installed is what pyproject.toml says."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == version("sqlmodelkit")


@pytest.mark.slow
def test_the_wheel_holds_the_types(tmp_path: Path) -> None:
    """The package is typed; templates and the skill come along, and nothing but the package."""
    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    names = zipfile.ZipFile(wheel).namelist()
    assert "sqlmodelkit/py.typed" in names
    templates = SOURCE / "templates"
    skill = SOURCE / ".agents" / "skills" / "sqlmodelkit"
    data = [*templates.rglob("*.jinja"), skill / "SKILL.md", *skill.glob("references/*.md")]
    ours = {path.relative_to(SOURCE).as_posix() for path in data}
    assert "02-models.md" in {path.name for path in data}
    assert set() == {f"sqlmodelkit/{name}" for name in ours} - set(names)
    assert {"sqlmodelkit", "sqlmodelkit-0.1.0.dist-info"} == {name.split("/")[0] for name in names}
