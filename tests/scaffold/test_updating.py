"""A project is brought to a newer template, and nothing that a person has written is lost."""

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sqlmodelkit import ConfigError
from sqlmodelkit.scaffold import Choices, create_project
from sqlmodelkit.scaffold.merging import merge
from sqlmodelkit.scaffold.records import RECORD, Record
from sqlmodelkit.scaffold.rendering import TEMPLATES
from sqlmodelkit.scaffold.updating import Update, plan_update
from tests.scaffold import projects

COMMON = Path("project", "common")


def git(root: Path, *words: str) -> str:
    """Run git in a project; return what it says."""
    own = ("-c", "user.name=Test", "-c", "user.email=test@example.com")
    command = ["git", *own, *words]
    return subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout


def commit(root: Path) -> None:
    """Put everything into git."""
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "as it is")


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Templates of an earlier version: a line, a file and a directory were otherwise."""
    root = tmp_path_factory.mktemp("older") / "templates"
    shutil.copytree(TEMPLATES, root)
    makefile = root / COMMON / "Makefile.jinja"
    makefile.write_text(makefile.read_text().replace("PORT ?= 8000", "PORT ?= 9000"))
    readme = root / COMMON / "README.md.jinja"
    readme.write_text(readme.read_text().replace("make dev ", "make run "))
    (root / COMMON / "compose.yaml.jinja").unlink()
    (root / COMMON / "docs").mkdir()
    (root / COMMON / "docs" / "old.md.jinja").write_text("What was.\n")
    versions = root / "project" / "minimal" / "migrations" / "versions"
    for path in versions.iterdir():
        path.write_text(path.read_text().replace('"""', '"""Once: ', 1))
    return root


@pytest.fixture
def made(older: Path, tmp_path: Path) -> Path:
    """A project of the earlier version, in git."""
    root = tmp_path / "hero-api"
    create_project(root, Choices("hero-api"), templates=older)
    git(root, "init", "--quiet")
    commit(root)
    return root


def contents(root: Path) -> dict[str, bytes]:
    """Return every file but git's own."""
    paths = (path for path in root.rglob("*") if ".git" not in path.relative_to(root).parts)
    return {
        path.relative_to(root).as_posix(): path.read_bytes() for path in paths if path.is_file()
    }


def actions(update: Update) -> dict[str, str]:
    """Return what happens to each file."""
    return {each.name: each.action for each in update.files}


def edit(root: Path, name: str, old: str, new: str) -> None:
    """Change a text in a file that is there."""
    text = (root / name).read_text()
    assert old in text
    (root / name).write_text(text.replace(old, new, 1))


def test_what_nobody_has_touched_becomes_as_it_is_now(made: Path, tmp_path: Path) -> None:
    """As a new project is; only its migrations and secrets stay its own."""
    before = contents(made)
    update = plan_update(made)
    assert actions(update) == {
        "Makefile": "replaced",
        "README.md": "replaced",
        "compose.yaml": "added",
        "docs/old.md": "removed",
    }
    update.write()
    create_project(tmp_path / "new" / "hero-api", Choices("hero-api"))
    after, new = contents(made), contents(tmp_path / "new" / "hero-api")
    own = {name for name in after if name == ".env" or name.startswith("migrations/versions/")}
    assert {name: before[name] for name in own} == {name: after[name] for name in own}
    assert {name: after[name] for name in after if name not in own} == {
        name: new[name] for name in new if name not in own
    }
    assert not (made / "docs").exists()


def test_a_second_time_changes_nothing(made: Path) -> None:
    """Whether there were conflicts or not."""
    edit(made, "Makefile", "PORT ?= 9000", "PORT ?= 7000")
    commit(made)
    plan_update(made).write()
    after = contents(made)
    again = plan_update(made, allow_dirty=True)
    assert [] == again.files
    again.write()
    assert after == contents(made)


def test_edits_stay(made: Path) -> None:
    """They are merged with what the template has elsewhere; what was deleted stays away."""
    edit(made, "README.md", "# Hero api", "# Our heroes")
    edit(made, "app/main.py", "app = FastAPI(", "app = FastAPI(version='2', ")
    (made / "Makefile").unlink()
    (made / "docs" / "old.md").write_text("What was, and what will be.\n")
    (made / "compose.yaml").write_text("services: {}\n")
    commit(made)
    update = plan_update(made)
    assert actions(update) == {
        "Makefile": "deleted",
        "README.md": "merged",
        "compose.yaml": "kept",
        "docs/old.md": "kept",
    }
    update.write()
    readme = (made / "README.md").read_text()
    assert readme.startswith("# Our heroes\n")
    assert "make dev " in readme
    assert "version='2'" in (made / "app" / "main.py").read_text()
    assert not (made / "Makefile").exists()
    assert "services: {}\n" == (made / "compose.yaml").read_text()
    assert "What was, and what will be.\n" == (made / "docs" / "old.md").read_text()


def test_a_conflict_keeps_both_and_fails(made: Path) -> None:
    """The places are marked, the files are named, and the status tells."""
    edit(made, "Makefile", "PORT ?= 9000", "PORT ?= 7000")
    commit(made)
    before = contents(made)
    status, said = projects.try_in(made, "sqlmodelkit", "new", "--update", "--dry-run")
    assert (1, True) == (status, "+PORT ?= 8000" in said), said
    assert before == contents(made)
    status, said = projects.try_in(made, "sqlmodelkit", "new", "--update", "--json")
    assert 1 == status
    told, complaint = said[: said.rindex("}") + 1], said[said.rindex("}") + 1 :]
    assert ["Makefile"] == json.loads(told)["conflicts"]
    assert "Makefile has changes of yours and of the template" in complaint
    lines = (made / "Makefile").read_text().splitlines()
    assert {"PORT ?= 7000", "PORT ?= 8000", "<<<<<<< yours", ">>>>>>> the template now"} < set(
        lines
    )


def test_a_dry_run_shows_a_patch_that_makes_the_same_files(made: Path) -> None:
    """Git takes it; nothing else is written."""
    edit(made, "README.md", "# Hero api", "# Our heroes")
    commit(made)
    before = contents(made)
    patch = projects.run_in(made, "sqlmodelkit", "new", "--update", "--dry-run")
    assert before == contents(made)
    command = ["git", "apply", "-"]
    subprocess.run(command, cwd=made, input=patch, text=True, check=True)
    applied = contents(made)
    git(made, "reset", "--hard", "--quiet")
    git(made, "clean", "-dfq")
    said = projects.run_in(made, "sqlmodelkit", "new", "--update")
    assert "merged    README.md\n" in said
    written = contents(made)
    assert applied | {RECORD: b""} == written | {RECORD: b""}
    assert written[RECORD] != applied[RECORD]


def test_changes_that_are_not_committed_are_not_mixed_with_the_update(made: Path) -> None:
    """Unless that is asked for."""
    edit(made, "README.md", "# Hero api", "# Our heroes")
    with pytest.raises(ConfigError, match=r"not committed, as in README\.md"):
        plan_update(made)
    assert "merged" == actions(plan_update(made, allow_dirty=True))["README.md"]
    commit(made)
    (made / "notes.txt").touch()
    with pytest.raises(ConfigError, match=r"not committed, as in notes\.txt"):
        plan_update(made)


def test_a_project_that_is_in_no_repository_is_left(older: Path, tmp_path: Path) -> None:
    """Nobody could see what an update did; unless it is asked for."""
    root = tmp_path / "one"
    create_project(root, Choices("one"), templates=older)
    with pytest.raises(ConfigError, match="is not committed to git"):
        plan_update(root)
    assert 4 == len(plan_update(root, allow_dirty=True).files)
    git(tmp_path, "init", "--quiet")
    (tmp_path / ".gitignore").write_text("one/\n")
    commit(tmp_path)
    with pytest.raises(ConfigError, match="is not committed to git"):
        plan_update(root)


def test_a_project_without_a_record_is_told_what_to_do(made: Path, tmp_path: Path) -> None:
    """As one that was made before there was any."""
    (made / RECORD).unlink()
    with pytest.raises(ConfigError, match=r"made before .* copy its \.sqlmodelkit\.json"):
        plan_update(made)
    create_project(tmp_path / "new" / "hero-api", Choices("hero-api"))
    shutil.copy(tmp_path / "new" / "hero-api" / RECORD, made)
    commit(made)
    assert [] == plan_update(made).files


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda told: told["files"].pop(), "cannot be read"),
        (lambda told: told.pop("version"), "cannot be read"),
        (lambda told: told["choices"].update(size="huge"), r"size.*huge.* does not know"),
        (lambda told: told["choices"].update(colour="red"), r"colour.* does not know"),
    ],
)
def test_a_record_that_makes_no_sense_is_refused(made: Path, change: Any, complaint: str) -> None:
    """Nothing is guessed."""
    told = json.loads((made / RECORD).read_text())
    change(told)
    (made / RECORD).write_text(json.dumps(told))
    commit(made)
    with pytest.raises(ConfigError, match=complaint):
        plan_update(made)


@pytest.mark.parametrize("name", ["../other", "/etc/other", "app/../../other"])
def test_a_record_reaches_nothing_outside(made: Path, name: str) -> None:
    """Whoever sends one along cannot have files of others removed."""
    record = Record.read(made)
    (made / RECORD).write_text(replace(record, files={name: ""}).text())
    with pytest.raises(ConfigError, match="which is not in the project"):
        Record.read(made)


def test_what_was_interrupted_is_finished_by_the_next(made: Path) -> None:
    """Files are there as a whole, before or after; the record moves last."""
    edit(made, "README.md", "# Hero api", "# Our heroes")
    commit(made)
    before, record = contents(made), (made / RECORD).read_text()
    update = plan_update(made)
    (made / "compose.yaml").mkdir()  # so that its file cannot be put there
    (made / "compose.yaml" / "something").touch()
    with pytest.raises(OSError, match=r"compose\.yaml"):
        update.write()
    assert record == (made / RECORD).read_text()
    new = {each.name: each.new for each in update.files}
    shutil.rmtree(made / "compose.yaml")
    between = contents(made)
    assert all(text in (before.get(name), new.get(name)) for name, text in between.items())
    assert b"# Our heroes" in between["README.md"]
    plan_update(made, allow_dirty=True).write()
    after = contents(made)
    git(made, "reset", "--hard", "--quiet")
    git(made, "clean", "-dfq")
    plan_update(made).write()
    assert after == contents(made)


def test_ends_of_lines_stay(made: Path) -> None:
    """A file with those of Windows is no other file, and is merged as it is."""
    for name in ("Makefile", "README.md"):
        (made / name).write_bytes((made / name).read_bytes().replace(b"\n", b"\r\n"))
    readme = made / "README.md"
    readme.write_bytes(readme.read_bytes().replace(b"# Hero api", b"# Our heroes"))
    update = plan_update(made, allow_dirty=True)
    assert ["replaced", "merged"] == [actions(update)[name] for name in ("Makefile", "README.md")]
    update.write()
    for name in ("Makefile", "README.md"):
        text = (made / name).read_bytes()
        assert text.count(b"\r\n") == text.count(b"\n")
    assert readme.read_bytes().startswith(b"# Our heroes\r\n")


@pytest.mark.parametrize(
    ("mine", "why"),
    [
        (b"\0\1binary", "it is no text"),
        (b"<<<<<<< a\n1\n=======\n2\n>>>>>>> b\n", "it has marks of an earlier merge"),
    ],
)
def test_what_cannot_be_merged_has_the_template_beside_it(
    made: Path, mine: bytes, why: str
) -> None:
    """And is left as it is, as is what has that name already."""
    (made / "Makefile").write_bytes(mine)
    (made / "Makefile.template").write_text("mine too")
    commit(made)
    update = plan_update(made)
    assert ["Makefile"] == update.conflicts
    assert any(each.why.startswith(why) for each in update.files)
    update.write()
    assert (mine, "mine too") == (
        (made / "Makefile").read_bytes(),
        (made / "Makefile.template").read_text(),
    )
    assert "PORT ?= 8000" in (made / "Makefile.template1").read_text()


def test_links_are_not_followed(made: Path, tmp_path: Path) -> None:
    """What they lead to belongs to others."""
    other = tmp_path / "Makefile"
    other.write_bytes((made / "Makefile").read_bytes())
    (made / "Makefile").unlink()
    (made / "Makefile").symlink_to(other)
    docs = tmp_path / "docs"
    (made / "docs").rename(docs)
    (made / "docs").symlink_to(docs)
    commit(made)
    before = other.read_bytes()
    update = plan_update(made)
    assert {"Makefile": "kept", "docs/old.md": "kept"}.items() <= actions(update).items()
    update.write()
    assert (made / "Makefile").is_symlink()
    assert (before, True) == (other.read_bytes(), (docs / "old.md").exists())


def test_what_can_be_run_can_be_run_after(made: Path) -> None:
    """The mode of a file stays."""
    (made / "Makefile").chmod(0o755)
    plan_update(made, allow_dirty=True).write()
    assert 0o755 == (made / "Makefile").stat().st_mode & 0o777


@pytest.mark.parametrize(
    "words", [[], ["one", "--update"], ["one", "--dry-run"], ["one", "--allow-dirty"]]
)
def test_a_call_that_means_nothing_is_a_mistake(tmp_path: Path, words: list[str]) -> None:
    """The status is 2, and nothing is made."""
    status, _ = projects.try_in(tmp_path, "sqlmodelkit", "new", *words)
    assert (2, []) == (status, list(tmp_path.iterdir()))


@pytest.mark.slow
def test_the_tests_of_the_project_pass_after(made: Path) -> None:
    """With a resource of its own, which the update does not know."""
    projects.run_in(made, "sqlmodelkit", "add", "resource", "Power", "name:str:unique")
    edit(made, "README.md", "# Hero api", "# Our heroes")
    commit(made)
    assert "merged    README.md" in projects.run_in(made, "sqlmodelkit", "new", "--update")
    projects.check(made)
    assert "12 passed" in projects.run_tests(made)


LINES = [f"line {number}" for number in range(24)]


def text_of(lines: list[str]) -> bytes:
    """Return lines as a file."""
    return "".join(f"{line}\n" for line in lines).encode()


def edited(lines: list[str], edits: dict[int, str], word: str) -> list[str]:
    """Return lines of which some are changed, removed, or followed by another."""
    result: list[str] = []
    for number, line in enumerate(lines):
        match edits.get(number):
            case "change":
                result.append(f"{word} {number}")
            case "follow":
                result += [line, f"{word} {number}"]
            case "remove":
                pass
            case _:
                result.append(line)
    return result


kinds = st.sampled_from(["change", "follow", "remove"])


@st.composite
def apart(draw: st.DrawFn) -> tuple[dict[int, str], dict[int, str]]:
    """Draw edits of two sides, with lines between those of one and of the other."""
    places = draw(st.lists(st.sampled_from(range(0, 24, 3)), unique=True))
    sides = [draw(st.booleans()) for _ in places]
    edits = [draw(kinds) for _ in places]
    mine = {at: edit for at, side, edit in zip(places, sides, edits, strict=True) if side}
    theirs = {at: edit for at, side, edit in zip(places, sides, edits, strict=True) if not side}
    return mine, theirs


@settings(max_examples=60, deadline=None)
@given(apart())
def test_edits_in_other_lines_are_all_there(sides: tuple[dict[int, str], dict[int, str]]) -> None:
    """Both sides' edits come together as if one person had made them."""
    mine, theirs = sides
    merged = merge(
        text_of(edited(LINES, mine, "mine")),
        text_of(LINES),
        text_of(edited(LINES, theirs, "theirs")),
    )
    words = dict.fromkeys(mine, "mine") | dict.fromkeys(theirs, "theirs")
    both: list[str] = []
    for number, line in enumerate(LINES):
        kind = {**mine, **theirs}.get(number)
        both += [f"{words[number]} {number}"] if kind == "change" else []
        both += [line] if kind in (None, "follow") else []
        both += [f"{words[number]} {number}"] if kind == "follow" else []
    assert (0, text_of(both)) == (merged.conflicts, merged.text)


anything = st.dictionaries(st.integers(0, 23), kinds, max_size=12)


@settings(max_examples=60, deadline=None)
@given(anything, anything)
def test_no_line_is_lost(mine: dict[int, str], theirs: dict[int, str]) -> None:
    """What one side has written is there, whatever the other has done: merged, or marked."""
    ours, others = edited(LINES, mine, "mine"), edited(LINES, theirs, "theirs")
    merged = merge(text_of(ours), text_of(LINES), text_of(others))
    found = (merged.text or b"").decode().splitlines()
    written = [line for line in [*ours, *others] if line not in LINES]
    assert [] == [line for line in written if line not in found]
    marked = any(line.startswith(("<<<<<<<", ">>>>>>>")) for line in found)
    assert marked is (merged.conflicts > 0)


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    """Compressed, and as text that git can show."""
    files = {f"file {number}": f"text {number}\n" * 50 for number in range(30)}
    record = Record("1.2.3", {"name": "one", "database": "sqlite", "size": "minimal"}, files)
    text = record.text()
    (tmp_path / RECORD).write_text(text)
    assert record == Record.read(tmp_path)
    assert len(text) < sum(map(len, files.values())) / 2
    assert max(map(len, text.splitlines())) < 110
