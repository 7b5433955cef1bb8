"""What a service refuses before it is used: models that do not fit together."""

from typing import Any

import pytest
from pydantic import BaseModel
from sqlmodel import Field, Relationship, SQLModel

from sqlmodelkit import IntKey, ServiceBase, Version
from sqlmodelkit.errors import ConfigError
from tests.world import (
    ChapterService,
    Volume,
    VolumeCreate,
    VolumeService,
    VolumeUpdate,
    Writer,
    WriterCreate,
    WriterPublic,
    WriterService,
    WriterUpdate,
)


class Parent(SQLModel, table=True):
    """Its children are removed by Python, row by row."""

    __tablename__ = "w_parent"  # pyright: ignore[reportAssignmentType]

    id: int = Field(primary_key=True)
    children: list["Child"] = Relationship(back_populates="parent", cascade_delete=True)


class Child(SQLModel, table=True):
    """The database is not told to remove it."""

    __tablename__ = "w_child"  # pyright: ignore[reportAssignmentType]

    id: int = Field(primary_key=True)
    parent_id: int = Field(foreign_key="w_parent.id")
    parent: Parent = Relationship(back_populates="children")


class Blind(IntKey, Version, table=True):
    """Its own mapper arguments take the place of those of the mixin."""

    __tablename__ = "w_blind"  # pyright: ignore[reportAssignmentType]
    __mapper_args__: Any = {"eager_defaults": True}


class Looping(BaseModel):
    """Leads back to itself."""

    volumes: list["LoopingVolume"]


class LoopingVolume(BaseModel):
    """The other half."""

    writer: Looping


class Nothing(BaseModel):
    """No field at all."""


def refused(service: type[ServiceBase[Any, Any, Any]]) -> ConfigError:
    """Return what `check` says against a service."""
    with pytest.raises(ConfigError) as caught:
        service.check()
    return caught.value


def test_models_that_fit_are_taken() -> None:
    """The services of the tests' own world."""
    for service in (WriterService, VolumeService, ChapterService):
        service.check()
    assert (Volume, VolumeCreate, VolumeUpdate) == (
        VolumeService.model,
        VolumeService.create_model,
        VolumeService.update_model,
    )


def test_a_subclass_is_for_the_same_models() -> None:
    """They need not be said twice."""

    class Special(WriterService):
        """Nothing new."""

    Special.check()
    assert (Writer, WriterPublic) == (Special.model, Special.public)


def test_a_service_without_models_is_refused() -> None:
    """The message shows how to name them."""

    class Bare(ServiceBase[Any, Any, Any]):
        """Names nothing."""

    class Untyped(ServiceBase):  # type: ignore[type-arg]
        """Names nothing either."""

    assert "ServiceBase[Hero, HeroCreate, HeroUpdate]" in str(refused(Untyped))
    refused(Bare)


def test_a_model_that_is_no_table_is_refused() -> None:
    """The message says how it becomes one."""

    class NoTable(ServiceBase[WriterCreate, WriterCreate, WriterUpdate]):
        """The first model should be a table."""

    assert "table=True" in str(refused(NoTable))


def test_a_table_as_input_is_refused() -> None:
    """For create and for update."""

    class Create(ServiceBase[Writer, Writer, WriterUpdate]):
        """Clients could set every column."""

    class Update(ServiceBase[Writer, WriterCreate, Writer]):
        """Here too."""

    assert "takes the table Writer as input" in str(refused(Create))
    assert "takes the table Writer as input" in str(refused(Update))


def test_an_input_field_without_a_column_needs_a_hook() -> None:
    """The error names the field; a hook makes it the service's own business."""

    class WithPassword(WriterCreate):
        """One field more."""

        password: str

    class Plain(ServiceBase[Writer, WithPassword, WriterUpdate]):
        """Has no idea what to do with it."""

    class Hashing(ServiceBase[Writer, WithPassword, WriterUpdate]):
        """Has."""

        async def create_values(self, data: WithPassword) -> dict[str, Any]:
            """Leave the password out."""
            values = await super().create_values(data)
            return {"secret": values.pop("password")[::-1]} | values

    assert ("password",) == refused(Plain).fields
    Hashing.check()


def test_an_update_of_the_key_is_refused() -> None:
    """A row keeps its key."""

    class WithKey(WriterUpdate):
        """One field too much."""

        id: int | None = None

    class Moving(ServiceBase[Writer, WriterCreate, WithKey]):
        """Would change the key."""

    assert ("id",) == refused(Moving).fields


def test_a_version_that_is_not_checked_is_refused() -> None:
    """The mixin promises that stale writes are noticed."""

    class Unchecked(ServiceBase[Blind, Nothing, Nothing]):
        """Would lose updates."""

    assert "loses the check of its version" in str(refused(Unchecked))


def test_a_cascade_that_the_database_does_not_know_is_refused() -> None:
    """`delete` is one statement, so the database must do it."""

    class Cascading(ServiceBase[Parent, Nothing, Nothing]):
        """Removes children in Python."""

    error = refused(Cascading)
    assert "Parent.children" in error.message
    assert 'ondelete="CASCADE"' in str(error)


def test_a_response_that_loops_is_refused() -> None:
    """The message shows the cycle."""

    class Loop(WriterService):
        """Its response never ends."""

        public = Looping  # type: ignore[assignment]

    assert "Looping -> LoopingVolume -> Looping" in str(refused(Loop))


def test_a_table_as_response_is_refused() -> None:
    """It would show every column."""

    class Open(WriterService):
        """Shows the secret."""

        public = Writer  # type: ignore[assignment]

    assert "Writer is a table" in str(refused(Open))


def test_a_response_field_without_a_counterpart_is_refused() -> None:
    """The error names it."""

    class Shown(WriterPublic):
        """One field that no column has."""

        age: int

    class Guessing(ServiceBase[Writer, WriterCreate, WriterUpdate]):
        """Cannot know it."""

        public = Shown

    assert "Shown.age" in str(refused(Guessing))
