"""The one exception for mistakes a user can mend, and what a disk or an object store said."""

import errno
from typing import Any

STORAGE_ERRORS = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.ESTALE, errno.EACCES}
)


class InputError(ValueError):
    """A user's mistake: the message names the object, what was expected and what was found.

    Commands print it without a traceback and exit with status 2.
    """


class MissingInputError(InputError):
    """A file of an earlier stage that is missing or damaged.

    The command line adds which verb writes the file.
    """

    def __init__(self, message: str, *, file: str) -> None:
        super().__init__(message)
        self.file = file
        """Name of the file relative to the run directory."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _missing_input, (str(self), self.file)


def _missing_input(message: str, file: str) -> MissingInputError:
    return MissingInputError(message, file=file)


def storage_fault(error: BaseException | None) -> OSError | None:
    """Return what a disk or an object store said, if that is why something failed, also in a worker; None otherwise."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in STORAGE_ERRORS:
            return error
        # Ray keeps what a worker raised as `cause`.
        error = getattr(error, "cause", None) or error.__cause__
    return None
