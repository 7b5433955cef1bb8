"""A resource that is added to a project is whole, and leaves what is there alone."""

import subprocess
from pathlib import Path

import pytest

from sqlmodelkit.scaffold import Choices, create_project
from tests.scaffold import projects

POWER = ("Power", "name:str:unique")
VILLAIN = ("Villain", "name:str:unique", "age:int?", "team:Team", "powers:Power[]")
GADGET = ("Gadget", "price:decimal", "due:date?", "owner:Villain?", "note:text?", "seen:datetime",
          "weight:float", "working:bool", "code:uuid")  # fmt: skip
OUTING = ("Outing", "date:date", "until:date?", "datetime:datetime?", "seen:datetime?", "uuid:uuid")
LOGIN = ("Login", "password:str", "name:str", "pin:int?")


_TEXTS = {".py", ".toml", ".md", ".yaml", ".yml", ".example"}


def add(root: Path, *words: str) -> str:
    """Add a resource; return what the command says."""
    return projects.run_in(root, "sqlmodelkit", "add", "resource", *words)


def contents(root: Path) -> dict[str, str]:
    """Return the texts of a project by path."""
    return {str(path): path.read_text() for path in root.rglob("*") if path.suffix in _TEXTS}


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new project with five resources more."""
    root = tmp_path_factory.mktemp("grown") / "hero-api"
    create_project(root, Choices("hero-api"))
    for words in (POWER, VILLAIN, GADGET, OUTING, LOGIN):
        add(root, *words)
    return root


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """A new project."""
    root = tmp_path / "hero-api"
    create_project(root, Choices("hero-api"))
    return root


@pytest.mark.slow
def test_style_and_types_stay_right(grown: Path) -> None:
    """As ruff and strict mypy see them, relations on both sides included."""
    projects.check(grown)


@pytest.mark.db
@pytest.mark.slow
def test_tests_are_added_that_pass(grown: Path, database_url: str) -> None:
    """On each engine; the migrations make what the models say."""
    assert "26 passed" in projects.run_tests(grown, database_url)
    assert "nothing" == projects.missing_migration(grown, database_url)


@pytest.mark.slow
def test_what_looks_secret_is_sent_and_not_shown(grown: Path) -> None:
    """It is in the table and in what clients send, and in no answer."""
    classes = (grown / "app" / "models" / "logins.py").read_text().split("\n\n\nclass ")
    having = [text.partition("(")[0] for text in classes[1:] if "password" in text]
    assert ["Login", "LoginCreate", "LoginUpdate"] == having
    assert having == [text.partition("(")[0] for text in classes[1:] if "pin" in text]


@pytest.mark.slow
def test_a_dry_run_shows_a_patch_that_makes_the_same_files(fresh: Path) -> None:
    """And writes nothing; git takes it."""
    before = contents(fresh)
    patch = add(fresh, *POWER, "--dry-run")
    assert before == contents(fresh)
    command = ["git", "apply", "-"]
    subprocess.run(command, cwd=fresh, input=patch, text=True, check=True)
    applied = contents(fresh)
    for path in set(applied) - set(before):
        Path(path).unlink()
    for path, text in before.items():
        Path(path).write_text(text)
    add(fresh, *POWER)
    written = contents(fresh)
    made = [path for path in set(written) - set(applied) if "/versions/" in path]
    assert 1 == len(made)
    assert applied == {path: text for path, text in written.items() if path not in made}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("Hero", "name:str"), "is there already"),
        (("class", "name:str"), "is no name of a class"),
        (("Gadget", "title:strr"), "is no field"),
        (("Gadget", "name:str", "name:int"), "The field name is asked for twice"),
        (("Gadget", "team_id:int", "team:Team"), "The field team_id is asked for twice"),
        (("Gadget", "json:str"), "'json' cannot be a field: every model has something"),
        (("Gadget", "model_config:str"), "'model_config' cannot be a field: every model has"),
        (("Gadget", "created_at:datetime"), "'created_at' cannot be a field: every model has"),
        (("Gadget", "int:int"), "'int' cannot be a field: it has a meaning in Python"),
        (("Gadget", "class:int"), "'class' cannot be a field: it has a meaning in Python"),
        (("Gadget", "secret:str", "age:int?"), "no column that must be given among secret, age."),
        (("Field", "name:str"), "Field has a meaning in the modules"),
        (("Gadget", "name:str", "owner:Nobody"), "There is no table Nobody"),
        (("Gadget", "team:Team", "age:int?"), "no column that must be given among team, age."),
    ],
)
def test_what_cannot_be_added_is_refused(
    fresh: Path, words: tuple[str, ...], complaint: str
) -> None:
    """Nothing is written then, and the message says what to do."""
    before = contents(fresh)
    status, said = projects.try_in(fresh, "sqlmodelkit", "add", "resource", *words)
    assert (1, True) == (status, complaint in said), said
    assert before == contents(fresh)
