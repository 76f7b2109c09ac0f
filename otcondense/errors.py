"""The exceptions for mistakes that a user can correct, and the faults of storage."""

import errno
from collections.abc import Iterator
from typing import Any

STORAGE_ERRORS = frozenset(
    {
        *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EMFILE, errno.ENFILE, errno.ENOMEM),
        *(errno.EIO, errno.EROFS, errno.ESTALE, errno.ENXIO, errno.ENODEV, errno.EBUSY),
        *(errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP),
    }
)
"""Full, failing, forbidden, and not what the path needs."""

REMOTE_PACKAGES = frozenset(
    {"botocore", "aiobotocore", "s3fs", "gcsfs", "google", "azure", "adlfs", "aiohttp"}
)
"""Libraries of object stores; not all of their errors are an OSError."""


class InputError(ValueError):
    """A user's mistake: the message names the object, the expected and the found value.

    Commands print it without a traceback and exit with status 2.
    """


class RunFileError(InputError):
    """A file of a run that cannot be used, and that a stage has to write.

    The message does not say which command writes the file. Commands know, and add it.
    """

    def __init__(self, message: str, file: str) -> None:
        super().__init__(message)
        self.file = file
        """Name relative to the run."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Without it, pickle would create the error from its message alone.
        return type(self), (str(self), self.file)


class MissingInputError(RunFileError):
    """A file of a run that is missing, or of other images: a stage has not written it yet."""


class DamagedInputError(RunFileError):
    """A file of a run that does not have the content it was written with."""


def storage_fault(error: BaseException) -> OSError | None:
    """Return the error of a disk or an object store that made something fail, also in a worker.

    Returns: None if something else made it fail.
    """
    for cause in _causes(error):
        if isinstance(cause, OSError) and cause.errno in STORAGE_ERRORS:
            return cause
    return None


def remote_fault(error: BaseException) -> BaseException | None:
    """Return the error of an object store's library that made something fail, also in a worker.

    Returns: None if something else made it fail.
    """
    for cause in _causes(error):
        if type(cause).__module__.split(".")[0] in REMOTE_PACKAGES:
            return cause
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what caused it; `raise error from error` makes a circle."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        # Ray keeps the error of a worker as `cause`.
        error = getattr(error, "cause", None) or error.__cause__
