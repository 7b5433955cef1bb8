"""Pictures of tables: as text for Mermaid, and as SVG."""

import functools
import re
import sys
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import resvg_py
from sqlalchemy import Column, ForeignKey, Index, Integer, MetaData, String, Table

from sqlmodelkit import ConfigError
from sqlmodelkit.diagrams import Diagram, mermaid, svg, write
from sqlmodelkit.diagrams.layout import Spot, arrange
from sqlmodelkit.models import OtherType


def tables() -> MetaData:
    """Return teams, heroes with a badge each, and missions far from the teams."""
    metadata = MetaData()
    Table("team", metadata, Column("id", Integer, primary_key=True), Column("name", String(20)))
    Table(
        "hero",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("name", String(20), nullable=False, unique=True),
        Column("team_id", ForeignKey("team.id"), nullable=False),
        Column("mentor_id", ForeignKey("hero.id")),
    )
    Table("badge", metadata, Column("hero_id", ForeignKey("hero.id"), primary_key=True))
    Table(
        "mission log",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("1st badge", ForeignKey("badge.hero_id"), nullable=False),
        Column("team_id", ForeignKey("team.id"), nullable=False),
        Index("one_log", "1st badge", unique=True),
    )
    return metadata


def test_mermaid_names_columns_keys_and_how_many() -> None:
    """`||` is exactly one parent, `|o` maybe one; `o{` are many children, `o|` is one at most."""
    text = mermaid(Diagram.of(tables(), only=["team", "hero", "badge"]))
    assert text == (
        "erDiagram\n"
        "    badge {\n"
        "        integer hero_id PK, FK\n"
        "    }\n"
        "    hero {\n"
        "        integer id PK\n"
        "        string name UK\n"
        "        integer team_id FK\n"
        '        integer mentor_id FK "may be NULL"\n'
        "    }\n"
        "    team {\n"
        "        integer id PK\n"
        '        string name "may be NULL"\n'
        "    }\n"
        '    hero ||--o| badge : "hero_id"\n'
        '    hero |o--o{ hero : "mentor_id"\n'
        '    team ||--o{ hero : "team_id"\n'
    )


def test_a_type_that_only_the_database_knows_has_its_name() -> None:
    """Its first word."""
    metadata = MetaData()
    key = Column("id", Integer, primary_key=True)
    Table("place", metadata, key, Column("at", OtherType("Geometry(Point, 4326)"), nullable=False))
    assert "        geometry at\n" in mermaid(Diagram.of(metadata))


def test_names_that_mermaid_does_not_take_are_quoted() -> None:
    """Or written with other letters, for columns."""
    text = mermaid(Diagram.of(tables()))
    assert '    "mission log" {\n' in text
    assert "        integer _1st_badge FK, UK\n" in text
    assert '    badge ||--o| "mission log" : "1st badge"\n' in text


def test_a_picture_shows_every_column_and_link() -> None:
    """It is well-formed, and each foreign key has its line with a title."""
    root = ET.fromstring(svg(Diagram.of(tables())))  # noqa: S314 - our own
    space = "{http://www.w3.org/2000/svg}"
    texts = {element.text for element in root.iter(f"{space}text")}
    assert {"mission log", "1st badge", "mentor_id", "integer?", "PK FK"} <= texts
    titles = sorted(str(element.text) for element in root.iter(f"{space}title"))
    assert titles == [
        "badge: hero_id",
        "hero: mentor_id",
        "hero: team_id",
        "mission log: 1st badge",
        "mission log: team_id",
    ]


def apart(one: Spot, other: Spot) -> bool:
    """Tell whether two places do not touch."""
    return (
        one.x + one.width <= other.x
        or other.x + other.width <= one.x
        or one.y + one.height <= other.y
        or other.y + other.height <= one.y
    )


def test_nothing_lies_upon_anything_else() -> None:
    """Neither boxes, nor the lanes of links that pass a layer."""
    diagram = Diagram.of(tables())
    found = arrange(diagram, {entity.name: (120.0, 90.0) for entity in diagram.entities})
    lanes = [lane for link in diagram.links for lane in found.lanes.get(link, ())]
    assert 2 == len(lanes)
    assert all(apart(*pair) for pair in combinations([*found.boxes.values(), *lanes], 2))
    assert found.boxes["team"].x < found.boxes["hero"].x < found.boxes["badge"].x


def test_tables_may_refer_to_each_other() -> None:
    """A ring of foreign keys begins somewhere."""
    metadata = MetaData()
    for name, other in (("egg", "hen"), ("hen", "egg")):
        Table(
            name,
            metadata,
            Column("id", Integer, primary_key=True),
            Column(f"{other}_id", ForeignKey(f"{other}.id")),
        )
    assert svg(Diagram.of(metadata)).count("<title>") == 2


def test_the_name_of_the_file_says_what_is_written(tmp_path: Path) -> None:
    """SVG, Mermaid, or Mermaid within Markdown."""
    diagram = Diagram.of(tables())
    for name in ("shop.svg", "shop.mmd", "shop.md"):
        write(diagram, tmp_path / name)
    assert (tmp_path / "shop.svg").read_text() == svg(diagram)
    assert (tmp_path / "shop.mmd").read_text() == mermaid(diagram)
    assert (tmp_path / "shop.md").read_text() == f"```mermaid\n{mermaid(diagram)}```\n"


def test_a_picture_of_points_has_its_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice as large as the SVG; where no font is found, it is refused instead of empty."""
    diagram = Diagram.of(tables())
    write(diagram, tmp_path / "shop.png")
    head = (tmp_path / "shop.png").read_bytes()[:24]
    width, height = (int.from_bytes(head[place : place + 4]) for place in (16, 20))
    size = re.search(r'width="(\d+)" height="(\d+)"', svg(diagram))
    assert size is not None
    assert [b"\x89PNG", 2 * int(size[1]), 2 * int(size[2])] == [head[:4], width, height]
    monkeypatch.setattr(
        "resvg_py.svg_to_bytes", functools.partial(resvg_py.svg_to_bytes, skip_system_fonts=True)
    )
    with pytest.raises(ConfigError, match="no font on this machine"):
        write(diagram, tmp_path / "empty.png")


def test_without_the_extra_a_png_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named."""
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(ConfigError, match=r"sqlmodelkit\[diagrams\]"):
        write(Diagram.of(tables()), tmp_path / "shop.png")


@pytest.mark.parametrize("name", ["shop.gif", "shop"])
def test_other_files_are_refused(name: str, tmp_path: Path) -> None:
    """The refusal says which there are."""
    with pytest.raises(ConfigError, match="cannot be written as") as refusal:
        write(Diagram.of(tables()), tmp_path / name)
    assert ".svg, .png" in str(refusal.value)
    assert not (tmp_path / name).exists()


def test_what_is_not_there_cannot_be_drawn() -> None:
    """Neither a table by a wrong name, nor none at all."""
    with pytest.raises(ConfigError, match=r"no table villain\. Tables are badge, hero"):
        Diagram.of(tables(), only=["villain"])
    with pytest.raises(ConfigError, match="no tables to draw"):
        Diagram.of(MetaData())
