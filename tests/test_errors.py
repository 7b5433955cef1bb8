"""The tree of errors: branches, messages, attributes, pickling."""

import pickle

import pytest

from sqlmodelkit import errors
from sqlmodelkit.errors import (
    BadRequest,
    CheckViolation,
    CommitUnknown,
    ConfigError,
    Conflict,
    ConnectionLost,
    CursorError,
    FilterError,
    ForeignKeyViolation,
    InvalidValue,
    LoadingError,
    Locked,
    MultipleFound,
    NotFound,
    NotLoaded,
    PageError,
    PoolTimeout,
    QueryTimeout,
    SerializationFailure,
    SortError,
    SQLModelKitError,
    StaleVersion,
    TooManyQueries,
    Unavailable,
    UniqueViolation,
)

TREE: dict[type[SQLModelKitError], set[type[SQLModelKitError]]] = {
    SQLModelKitError: {ConfigError, BadRequest, NotFound, Conflict, Unavailable, LoadingError},
    BadRequest: {FilterError, SortError, PageError, CursorError, InvalidValue, CheckViolation},
    Conflict: {UniqueViolation, ForeignKeyViolation, StaleVersion, MultipleFound},
    Unavailable: {
        CommitUnknown,
        ConnectionLost,
        Locked,
        PoolTimeout,
        QueryTimeout,
        SerializationFailure,
    },
    LoadingError: {NotLoaded, TooManyQueries},
}
EVERY = sorted(
    {SQLModelKitError}.union(*TREE.values()), key=lambda cls: (cls.__module__, cls.__name__)
)


@pytest.mark.parametrize("branch", TREE, ids=lambda cls: cls.__name__)
def test_each_branch_has_exactly_its_classes(branch: type[SQLModelKitError]) -> None:
    """The classes below a branch are those that the documented tree draws."""
    below = {cls for cls in branch.__subclasses__() if cls.__module__ == errors.__name__}
    assert TREE[branch] == below


@pytest.mark.parametrize("cls", EVERY, ids=lambda cls: cls.__name__)
def test_the_module_draws_every_class(cls: type[SQLModelKitError]) -> None:
    """The tree in the module's docstring names each class."""
    assert cls.__name__ in str(errors.__doc__)


@pytest.mark.parametrize("cls", EVERY, ids=lambda cls: cls.__name__)
def test_the_first_line_of_the_docstring_is_the_default_message(
    cls: type[SQLModelKitError],
) -> None:
    """An error raised without a message says what its class says."""
    error = cls()
    assert str(cls.__doc__).splitlines()[0] == error.message == str(error)
    assert error.message.endswith(".")


def test_a_class_without_a_docstring_has_its_name_as_message() -> None:
    """A subclass of an application need not have a docstring."""

    class Bare(Conflict):
        __doc__ = None

    assert str(Bare()) == "Bare"


@pytest.mark.parametrize("cls", EVERY, ids=lambda cls: cls.__name__)
def test_every_error_survives_pickling_with_its_attributes(cls: type[SQLModelKitError]) -> None:
    """An error crosses process borders whole."""
    details = {
        name: f"a {name}"
        for name in ("model", "constraint", "sqlstate", "field", "key", "missing")
        if hasattr(cls, name)
    }
    error = cls("It broke.", hint="Mend it.", fields=["a", "b"], **details)
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - made in the line itself
    assert type(copy) is cls
    assert vars(copy) == vars(error)
    assert (str(copy), copy.args) == (str(error), error.args)


def test_the_hint_follows_the_message() -> None:
    """What to do is part of the text that people see."""
    error = ConfigError("DB_POOL_SIZE is 0.", hint="Set it to 5.")
    assert str(error) == "DB_POOL_SIZE is 0. Set it to 5."
    assert (error.message, error.hint) == ("DB_POOL_SIZE is 0.", "Set it to 5.")
    assert str(ConfigError("DB_POOL_SIZE is 0.")) == "DB_POOL_SIZE is 0."


def test_fields_are_a_tuple_whatever_was_given() -> None:
    """Fields can be looked at more than once."""
    assert InvalidValue(fields=(name for name in ("a", "b"))).fields == ("a", "b")
    assert InvalidValue().fields == ()


def test_details_are_attributes_that_the_class_declares() -> None:
    """Attributes have a value also when nothing is known."""
    error = UniqueViolation(model="Club", constraint="uq_club_name", sqlstate="23505")
    assert (error.model, error.constraint, error.sqlstate) == ("Club", "uq_club_name", "23505")
    assert (UniqueViolation().model, UniqueViolation().constraint) == (None, None)
    assert ForeignKeyViolation().missing is True
    assert NotFound(key=(1, 2)).key == (1, 2)


def test_a_detail_that_the_class_does_not_declare_is_refused() -> None:
    """A misspelt attribute is a bug of the caller, found at once."""
    with pytest.raises(TypeError, match="Conflict has no attribute 'constrain'"):
        Conflict("No.", constrain="uq_club_name")


def test_an_application_can_raise_a_branch_of_its_own() -> None:
    """Own errors below a branch are caught as that branch and pickled like the rest."""
    error = SoldOut("Only 3 are left.", hint="Order fewer.", left=3)
    assert isinstance(error, Conflict)
    assert pickle.loads(pickle.dumps(error)).left == 3  # noqa: S301 - made in the line itself


class SoldOut(Conflict):
    """There is not enough left."""

    left: int = 0
