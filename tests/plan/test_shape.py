"""A response model laid over its table: what is shown, and what is refused at once."""

from typing import Annotated, Any, Optional
from uuid import UUID

import pytest
from pydantic import AliasChoices, AliasPath, BaseModel, ConfigDict, Field, create_model
from sqlmodel import SQLModel

from sqlmodelkit.errors import ConfigError
from sqlmodelkit.plan import Shape, shape_of
from sqlmodelkit.plan.shape import Shown, nested_models
from tests.tables import Club, Mastery, Player, Skill


class SkillOut(SQLModel):
    """A leaf."""

    name: str


class MasteryOut(BaseModel):
    """A link and its far side."""

    points: int
    skill: SkillOut


class ClubOut(BaseModel):
    """A to-one relation."""

    id: UUID
    name: str


class PlayerOut(SQLModel):
    """Columns, a to-one relation, and a collection two levels deep."""

    id: int
    name: str
    club: ClubOut | None
    masteries: list[MasteryOut]


def names(shape: Shape) -> dict[str, Any]:
    """Return what a shape shows as plain names."""
    return {
        "columns": list(shape.columns),
        **{edge.name: names(edge.shape) for edge in shape.relations},
    }


def test_a_shape_has_the_columns_and_relations_of_the_response() -> None:
    """At every depth, and nothing else of the tables."""
    shape = shape_of(Player, PlayerOut)
    assert names(shape) == {
        "columns": ["id", "name"],
        "club": {"columns": ["id", "name"]},
        "masteries": {"columns": ["points"], "skill": {"columns": ["name"]}},
    }
    assert (shape.model, shape.response, shape.opaque) == (Player, PlayerOut, ())


def test_a_relation_knows_whether_it_is_a_collection() -> None:
    """From the table, whatever the annotation says."""
    edges = {
        edge.name: (edge.many, edge.shape.model) for edge in shape_of(Player, PlayerOut).edges()
    }
    assert edges == {"club": (False, Club), "masteries": (True, Mastery), "skill": (False, Skill)}


def response(**fields: Any) -> type[BaseModel]:
    """Make a response model of the name Out."""
    namespace = {
        "__module__": __name__,
        "__annotations__": {name: kind for name, (kind, _) in fields.items()},
        **{name: default for name, (_, default) in fields.items() if default is not ...},
    }
    return type("Out", (BaseModel,), namespace)


def test_a_field_without_a_counterpart_is_refused() -> None:
    """The message names both models and the field."""
    with pytest.raises(ConfigError) as caught:
        shape_of(Player, response(nickname=(str, ...)))
    assert caught.value.message == "Out.nickname has no counterpart on Player."
    assert caught.value.hint


def test_a_field_with_a_default_needs_no_counterpart() -> None:
    """It is the response's own, and nothing is read for it."""
    shape = shape_of(Player, response(name=(str, ...), kind=(str, "player")))
    assert names(shape) == {"columns": ["name"]}


def test_a_property_of_the_table_is_read_from_whole_rows() -> None:
    """Which columns it needs cannot be told."""
    shape = shape_of(Club, response(name=(str, ...), title=(str, ...)))
    assert (shape.columns, shape.opaque) == (("name",), ("title",))


@pytest.mark.parametrize(
    ("field", "attribute"),
    [
        (Field(validation_alias="city"), "city"),
        (Field(alias="city"), "city"),
        (Field(validation_alias=AliasChoices("nowhere", "city")), "city"),
        (Field(serialization_alias="city"), "name"),
        (Field(validation_alias=AliasPath("facts", "colour")), "facts"),
        (Field(validation_alias=AliasChoices(AliasPath("facts", 0), "city")), "facts"),
    ],
)
def test_an_alias_is_followed_to_the_attribute(field: Any, attribute: str) -> None:
    """The attribute that Pydantic would read, in Pydantic's order."""
    shape = shape_of(Club, response(name=(str, field)))
    assert shape.columns == (attribute,)


def test_a_field_is_found_by_the_names_that_pydantic_looks_for() -> None:
    """Its own name is one of them where it has no alias, or the model is populated by name."""
    field = Field(validation_alias=AliasChoices("nowhere", "elsewhere"))
    with pytest.raises(ConfigError, match=r"Out\.name has no counterpart on Club"):
        shape_of(Club, response(name=(str, field)))
    for config in ("populate_by_name", "validate_by_name"):
        named = create_model("Out", __config__={config: True}, name=(str, field))  # type: ignore[call-overload]
        assert shape_of(Club, named).fields == (Shown("name", "name", "name"),)
    only = ConfigDict(validate_by_alias=False, validate_by_name=True)
    other = create_model("Out", __config__=only, name=(str, Field(validation_alias="city")))
    assert shape_of(Club, other).columns == ("name",)


def test_a_path_into_a_column_is_read_by_the_column_s_name() -> None:
    """Pydantic takes its steps from there: under the field's own name it would find nothing."""
    shape = shape_of(
        Club, response(colour=(str, Field(validation_alias=AliasPath("facts", "colour"))))
    )
    assert [(shown.attribute, shown.key) for shown in shape.fields] == [("facts", "facts")]


def test_a_relation_may_be_shown_under_another_name() -> None:
    """The alias names the relation."""
    shape = shape_of(Player, response(home=(ClubOut | None, Field(validation_alias="club"))))
    (edge,) = shape.relations
    assert (edge.name, edge.field, edge.key) == ("club", "home", "club")


def test_a_column_shown_twice_is_read_once() -> None:
    """Two fields may come from one column."""
    shape = shape_of(Club, response(name=(str, ...), label=(str, Field(validation_alias="name"))))
    assert shape.columns == ("name",)
    assert [(shown.field, shown.key) for shown in shape.fields] == [
        ("name", "name"),
        ("label", "name"),
    ]


@pytest.mark.parametrize(
    "annotation",
    [
        ClubOut,
        ClubOut | None,
        Optional[ClubOut],  # noqa: UP045 - people write it this way, too
        Annotated[ClubOut | None, "a note"],
        Optional[Annotated[ClubOut, "a note"]],  # noqa: UP045
    ],
)
def test_one_related_row_is_annotated_in_many_ways(annotation: Any) -> None:
    """All of them mean the model inside."""
    (edge,) = shape_of(Player, response(club=(annotation, ...))).relations
    assert (edge.shape.response, edge.many) == (ClubOut, False)


@pytest.mark.parametrize(
    "annotation",
    [
        list[SkillOut],
        tuple[SkillOut, ...],
        list[SkillOut] | None,
        Annotated[list[SkillOut], "a note"],
        list[Annotated[SkillOut, "a note"]],
    ],
)
def test_a_collection_is_annotated_in_many_ways(annotation: Any) -> None:
    """Lists and their like."""
    (edge,) = shape_of(Player, response(skills=(annotation, ...))).relations
    assert (edge.shape.response, edge.many) == (SkillOut, True)


def test_models_are_found_inside_an_annotation() -> None:
    """Other types have none."""
    assert list(nested_models(dict[str, list[SkillOut | ClubOut]])) == [SkillOut, ClubOut]
    assert list(nested_models(int | None)) == []
    assert list(nested_models(Any)) == []


@pytest.mark.parametrize(
    ("annotation", "number"), [(int, 0), (list[Any], 0), (SkillOut | ClubOut, 2)]
)
def test_a_relation_is_shown_by_one_model(annotation: Any, number: int) -> None:
    """None or several cannot be compiled; the message says where and how many."""
    with pytest.raises(ConfigError) as caught:
        shape_of(Player, response(club=(annotation, ...)))
    assert caught.value.message == f"Out.club shows the relation Player.club by {number} models."


@pytest.mark.parametrize(
    ("name", "annotation"),
    [("skills", SkillOut), ("skills", SkillOut | None), ("club", list[ClubOut])],
)
def test_one_row_is_not_a_collection(name: str, annotation: Any) -> None:
    """What would fail for every answer is refused at once."""
    with pytest.raises(ConfigError, match=f"Out.{name}"):
        shape_of(Player, response(**{name: (annotation, ...)}))


class TreeOut(BaseModel):
    """A model that shows itself."""

    name: str
    branches: list["TreeOut"]


class RoundPlayer(BaseModel):
    """The first half of a loop."""

    club: "RoundClub | None"


class RoundClub(BaseModel):
    """The second half."""

    players: list[RoundPlayer]


class Outer(BaseModel):
    """Leads to a loop without being in it."""

    branches: list[RoundClub]


@pytest.mark.parametrize(
    ("model", "looping", "cycle"),
    [
        (Club, TreeOut, "TreeOut -> TreeOut"),
        (Player, RoundPlayer, "RoundPlayer -> RoundClub -> RoundPlayer"),
        (Club, RoundClub, "RoundClub -> RoundPlayer -> RoundClub"),
        (Club, Outer, "RoundClub -> RoundPlayer -> RoundClub"),
    ],
)
def test_a_loop_is_refused_with_its_cycle(
    model: type[SQLModel], looping: type[BaseModel], cycle: str
) -> None:
    """It would never end, or end where the data does."""
    with pytest.raises(ConfigError) as caught:
        shape_of(model, looping)
    assert caught.value.message == f"The response model loops: {cycle}."


def test_the_same_model_twice_is_no_loop() -> None:
    """Side by side, each is read for itself."""
    shape = shape_of(Club, response(parent=(ClubOut | None, ...), branches=(list[ClubOut], ...)))
    assert [edge.name for edge in shape.edges()] == ["parent", "branches"]


def test_a_table_is_no_response() -> None:
    """It would show every column, a password among them."""
    with pytest.raises(ConfigError, match=r"Player is a table .* Declare a PlayerPublic"):
        shape_of(Player, Player)


@pytest.mark.parametrize(
    ("model", "field", "annotation"),
    [
        (Player, "club", Club | None),
        (Player, "skills", list[Skill]),
        pytest.param(Club, "title", Club, id="a property"),
        pytest.param(Club, "facts", dict[str, list[Club]], id="a column"),
    ],
)
def test_a_table_is_not_nested_in_a_response(
    model: type[SQLModel], field: str, annotation: Any
) -> None:
    """Wherever it is in it; the message says where."""
    with pytest.raises(ConfigError, match=r"is a table and .* inside Out"):
        shape_of(model, response(**{field: (annotation, ...)}))


class Later(BaseModel):
    """Refers to what comes never."""

    club: "NeverDeclared | None"  # type: ignore[name-defined]  # noqa: F821


def test_a_response_that_is_not_complete_is_refused() -> None:
    """A name in quotes that does not exist is a mistake to find at start."""
    with pytest.raises(ConfigError, match="Later refers to a model that is not declared yet"):
        shape_of(Player, Later)


def test_a_model_without_a_table_has_no_shape() -> None:
    """The first argument is the table."""
    with pytest.raises(ConfigError, match="SkillOut is not a table"):
        shape_of(SkillOut, SkillOut)
