"""The one exception for mistakes a user can mend, and what a disk or an object store said."""

import errno
from functools import partial
from typing import Any

STORAGE_ERRORS = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.ESTALE, errno.EACCES}
)


class InputError(ValueError):
    """A user's mistake: the message names the object, what was expected and what was found.

    Commands print it without a traceback and exit with status 2.
    """


class MissingInputError(InputError):
    """A file of an earlier stage is missing or damaged; the command line adds which verb writes it.

    Args:
        message: the sentence, without advice.
        file: name of the file or directory, relative to the run.
    """

    def __init__(self, message: str, *, file: str) -> None:
        super().__init__(message)
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        # The default passes only the message: Ray could not rebuild the error from a worker.
        return partial(type(self), file=self.file), (str(self),)


def storage_fault(error: BaseException | None) -> OSError | None:
    """Return what a disk or an object store said, if that is why something failed, also in a worker; None otherwise."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in STORAGE_ERRORS:
            return error
        # Ray keeps what a worker raised as `cause`.
        error = getattr(error, "cause", None) or error.__cause__
    return None
