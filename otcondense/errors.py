"""The exceptions for mistakes that a user can correct, and the faults of storage."""

import errno
from typing import Any

STORAGE_ERRORS = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.ESTALE, errno.EACCES}
)


class InputError(ValueError):
    """A user's mistake: the message names the object, the expected and the found value.

    Commands print it without a traceback and exit with status 2.
    """


class MissingInputError(InputError):
    """A file of a run that an earlier stage has to write: missing, damaged or of other images.

    The message does not say which command writes the file. Commands know, and add it.
    """

    def __init__(self, message: str, file: str) -> None:
        super().__init__(message)
        self.file = file
        """Name relative to the run."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Without it, pickle would create the error from its message alone.
        return type(self), (str(self), self.file)


def storage_fault(error: BaseException | None) -> OSError | None:
    """Return the error of a disk or an object store that made something fail, also in a worker.

    Returns: None if something else made it fail.
    """
    while error is not None:
        if isinstance(error, OSError) and error.errno in STORAGE_ERRORS:
            return error
        # Ray keeps the error of a worker as `cause`.
        error = getattr(error, "cause", None) or error.__cause__
    return None
