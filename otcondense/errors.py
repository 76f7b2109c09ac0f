"""The one exception for mistakes a user can mend, and what a disk or an object store said."""

import errno

STORAGE_ERRORS = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.ESTALE, errno.EACCES}
)


class InputError(ValueError):
    """A user's mistake: the message names the object, what was expected and what was found.

    Commands print it without a traceback and exit with status 2.
    """


def storage_fault(error: BaseException | None) -> OSError | None:
    """Return what a disk or an object store said, if that is why something failed, also in a worker; None otherwise."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in STORAGE_ERRORS:
            return error
        # Ray keeps what a worker raised as `cause`.
        error = getattr(error, "cause", None) or error.__cause__
    return None
