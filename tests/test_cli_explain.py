"""The command line shows how a response is read."""

import asyncio
import json
from pathlib import Path
from uuid import uuid4

import pytest

from sqlmodelkit import Database
from sqlmodelkit.cli import main
from tests.firms import Firm
from tests.world import VolumePublic, VolumeService, add_volume, add_writer, create_world

VOLUMES = "tests.world:VolumeService"
DETAIL = "tests.world:VolumeDetail"


class Nobodys(VolumePublic):
    """No service answers it."""


class Shared(VolumePublic):
    """Two services answer it."""


class OneService(VolumeService):
    """The first."""

    public = Shared


class OtherService(VolumeService):
    """The other one."""

    public = Shared


class Lone(VolumePublic):
    """One service answers it."""


class LoneService(VolumeService):
    """The only one."""

    public = Lone


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Run a command; answer its status, what it says and what it complains about."""
    status = main(["explain", *arguments])
    said = capsys.readouterr()
    return status, said.out, said.err


def test_the_plan_is_shown_without_a_database(capsys: pytest.CaptureFixture[str]) -> None:
    """Of the service's own response model, or of the one that is named."""
    status, own, _ = run(capsys, VOLUMES)
    assert (0, True) == (status, own.startswith("VolumePublic from Volume: 1 statement(s)"))
    status, named, _ = run(capsys, VOLUMES, DETAIL)
    assert (0, True) == (status, named.startswith("VolumeDetail from Volume: 3 statement(s)"))


@pytest.mark.db
@pytest.mark.parametrize("measure", ["--database", "--analyze"])
def test_the_database_is_asked_for_its_plans(
    database_url: str,
    measure: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each statement is shown with what the database says about it."""
    asyncio.run(_fill(database_url))
    monkeypatch.setenv("DATABASE_URL", database_url)
    status, said, complaint = run(
        capsys, VOLUMES, DETAIL, "title__startswith=D", "--sort=-title", measure, "price__gte=1"
    )
    assert (0, "") == (status, complaint)
    statements = [line for line in said.splitlines() if line.startswith("SELECT ")]
    assert 3 == len(statements)
    plans = [line for line in said.splitlines() if line.startswith("  ") and "w_chapter" in line]
    assert plans


async def _fill(url: str) -> None:
    db = Database(url)
    await create_world(db)
    await add_volume(db, "Dune", writer_id=await add_writer(db))
    await db.close()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["tests.world"], "'tests.world' names no class. Write it as app.heroes:HeroService."),
        (["tests.missing:X"], "There is no module 'tests.missing'."),
        (["tests.world:Nothing"], "There is no class tests.world:Nothing."),
        ([f"{__name__}:Nobodys"], "Nobodys belongs to no service. Name the service, and then"),
        ([f"{__name__}:Shared"], f"Shared belongs to {__name__}:OneService, {__name__}:OtherSer"),
        (["sqlmodelkit:Database"], "sqlmodelkit:Database is no service, response model or table."),
        ([f"{__name__}:Lone", DETAIL], f"'{DETAIL}' is not a filter."),
        ([VOLUMES, "titel=x"], "Filters, sort, limit and scope are the database's business. Give"),
        ([VOLUMES, "--sort", "titel"], "Filters, sort, limit and scope are the database's"),
        ([VOLUMES, "--limit", "50"], "Filters, sort, limit and scope are the database's"),
        ([VOLUMES, "--scope", "tenant", "--database"], "'tenant' is not understood. Write it as"),
        ([VOLUMES, "tests.world:VolumeService"], "tests.world:VolumeService is not a BaseModel."),
        ([VOLUMES, "tests.world:Volume"], "Volume is a table and cannot be a response model."),
        ([VOLUMES, DETAIL, "title"], "'title' is not a filter. Write it as age__gte=20."),
    ],
)
def test_what_cannot_be_found_is_said(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The status is 1, and the complaint names what is wrong."""
    status, said, complained = run(capsys, *arguments)
    assert (1, "", True) == (status, said, complained.startswith(complaint))


def test_a_response_model_or_a_table_names_its_service(capsys: pytest.CaptureFixture[str]) -> None:
    """Where there is one only."""
    _, own, _ = run(capsys, f"{__name__}:LoneService")
    assert (0, own, "") == run(capsys, f"{__name__}:Lone")
    assert own.startswith("Lone from Volume: 1 statement(s)")


def test_a_scope_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Or its rules are left; without either the table is refused."""
    url = f"sqlite:///{tmp_path / 'firms.db'}"
    asyncio.run(_found(url))
    monkeypatch.setenv("DATABASE_URL", url)
    projects = ("tests.firms:ProjectService", "--database")
    status, _, complaint = run(capsys, *projects)
    assert (1, True) == (status, complaint.startswith("Project is limited by firm"))
    for scope in (("--scope", f"firm={uuid4()}"), ("--leaving", "firm")):
        status, said, complaint = run(capsys, *projects, *scope)
        assert (0, "") == (status, complaint)
        assert (scope[0] == "--scope") == ("f_project.firm_id = ?" in said)


async def _found(url: str) -> None:
    db = Database(url, base=Firm)
    async with db.engine.begin() as connection:
        await connection.run_sync(Firm.metadata.create_all)
    await db.close()


def test_programs_are_told_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    """What the text says, in fields."""
    status, said, _ = run(capsys, VOLUMES, DETAIL, "--json")
    told = json.loads(said)
    assert (0, "VolumeDetail", "Volume") == (status, told["response"], told["model"])
    assert ("rows", 3, []) == (told["path"], told["statements"], told["reasons"])
    assert told["text"].startswith("VolumeDetail from Volume: 3 statement(s)")


def test_an_unknown_option_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """It is not taken for a filter."""
    status, said, complained = run(capsys, VOLUMES, "--datbase")
    assert (2, "", True) == (status, said, "No such option: --datbase" in complained)


def test_a_service_without_a_response_model_needs_one(capsys: pytest.CaptureFixture[str]) -> None:
    """It has to be named."""
    status, _, complained = run(capsys, "tests.plan.test_exactness:Clubs")
    assert (1, "Clubs has no response model. Name one after the service.\n") == (
        status,
        complained,
    )


def test_a_filter_that_is_wrong_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As everywhere: nothing unknown is left out."""
    monkeypatch.setenv("DATABASE_URL", "sqlite:///:memory:")
    status, _, complained = run(capsys, VOLUMES, "titel=x", "--database")
    assert (1, True) == (status, complained.startswith("Volume has no field 'titel' (titel)."))


def test_the_project_s_database_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """That of its `.env`, also further down; programs get the advice."""
    asyncio.run(_fill(f"sqlite:///{tmp_path / 'world.db'}"))
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / ".env").write_text("DATABASE_URL=sqlite:///world.db\n")
    (tmp_path / "deeper").mkdir()
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.chdir(tmp_path / "deeper")
    status, said, complaint = run(capsys, VOLUMES, "--database", "--json")
    assert (0, "") == (status, complaint)
    assert ([], True) == ((told := json.loads(said))["advice"], "w_volume" in told["text"])


APP = """
from tests.fastapi.conftest import application
from sqlmodelkit import Database

app = application(Database())
"""


@pytest.mark.db
def test_a_url_is_explained(
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The application of the project answers; as JSON, too."""
    asyncio.run(_fill(database_url))
    monkeypatch.setenv("DATABASE_URL", database_url)
    name = f"explained_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(APP)
    (tmp_path / "pyproject.toml").write_text(f'[tool.fastapi]\nentrypoint = "{name}:app"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    status, said, complaint = run(capsys, "GET", "/volumes?title=Dune&sort=-title")
    assert (0, "") == (status, complaint)
    assert said.startswith("200, ")
    assert "VolumePublic from Volume" in said
    _, said, _ = run(capsys, "GET", "/volumes", "--header", "accept: text/html", "--json")
    found = json.loads(said)
    assert (200, []) == (found["status"], found["advice"])
    for arguments, complaint in (
        (["GET"], "GET needs one URL."),
        (["POST", "/volumes"], "POST may change something."),
        (["GET", "/x", "--header", "y"], "'y' is no header."),
    ):
        status, _, said = run(capsys, *arguments)
        assert (1, True) == (status, said.startswith(complaint))
