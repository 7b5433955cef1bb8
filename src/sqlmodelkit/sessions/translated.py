"""Database errors that leave a block, in our terms."""

from contextlib import AbstractContextManager

from sqlmodelkit.drivers import translate


class _Translating:
    """A block that is entered for every statement, and so is no generator."""

    __slots__ = ()

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception):
            ours = translate(error)
            if ours is not None and ours is not error:
                raise ours from error


_TRANSLATING = _Translating()


def translating() -> AbstractContextManager[None]:
    """Turn database errors that leave the block into sqlmodelkit's, chained to the original.

    Raises:
        SQLModelKitError: In place of an SQLAlchemy error that `drivers.translate` knows.
    """
    return _TRANSLATING
