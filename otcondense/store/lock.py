"""The lock of a run: only one driver at a time."""

import fcntl
import os
import stat
from pathlib import Path
from types import TracebackType

from otcondense.errors import InputError
from otcondense.store.files import Store

HOLDER_BYTES = 20
"""Bytes of a lock file that are read: more than any process number has."""

OWNER_ONLY = 0o600
"""Mode of a lock file. Another account that could read it could hold the run forever."""


class DriverLock:
    """Holds a run for one driver while the `with` block runs.

    The kernel releases the lock when the process dies. Object stores cannot lock: `is_held` stays
    False, and users must not start a second driver.

    Raises: InputError on entering if another process holds the run, its folder cannot be created,
        or `.lock` is anything but a file of this account.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._file: int | None = None

    @property
    def is_held(self) -> bool:
        """Whether this process holds the run."""
        return self._file is not None

    def __enter__(self) -> "DriverLock":
        if not self._store.is_local:
            return self
        path = Path(self._store.path(".lock"))
        _make_folder(path.parent)
        file = _open_own_file(path)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(file, HOLDER_BYTES).decode(errors="replace").strip() or "unknown"
            os.close(file)
            raise InputError(
                f"run {self._store.root} is held by another driver (process {holder}); "
                "wait for it or choose another --run"
            ) from None
        os.ftruncate(file, 0)
        os.write(file, str(os.getpid()).encode())
        self._file = file
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def is_driven(store: Store) -> bool:
    """Tell whether a driver holds a run; False on an object store, and without the right to look.

    The lock is shared with nobody for longer than this call.
    """
    if not store.is_local:
        return False
    try:
        file = os.open(store.path(".lock"), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"the run must be a folder that can be created, found {path}: {_reason(error)}; "
            "choose another --run"
        ) from error


def _open_own_file(path: Path) -> int:
    """Open the lock file, which only its owner may read, without following a link.

    Raises: InputError if it is not a file of this account.
    """
    # Without O_NONBLOCK, opening a FIFO would wait for its other end.
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        file = os.open(path, flags, OWNER_ONLY)
    except OSError as error:
        raise InputError(
            f"the lock of a run must be a file of this account, found {path}: "
            f"{_found(path) or _reason(error)}; move it away or choose another --run"
        ) from error
    try:
        _check_own_file(file, path)
    except BaseException:
        os.close(file)
        raise
    return file


def _check_own_file(file: int, path: Path) -> None:
    status = os.fstat(file)
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        raise InputError(
            f"the lock of a run must be a file of its own, found {_found(path)} at {path}; "
            "move it away or choose another --run"
        )
    if status.st_uid != os.geteuid():
        raise InputError(
            f"the lock of a run must belong to the account that runs it, found {path} of account "
            f"{status.st_uid}; run as that account or choose another --run"
        )
    if stat.S_IMODE(status.st_mode) != OWNER_ONLY:
        os.fchmod(file, OWNER_ONLY)


def _found(path: Path) -> str:
    """Return what is at the path, "" if that is not known."""
    try:
        mode = path.lstat().st_mode
    except OSError:
        return ""
    kinds = {
        stat.S_IFLNK: "a link",
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a FIFO",
        stat.S_IFSOCK: "a socket",
        stat.S_IFREG: "a file with several names or of another account",
    }
    return kinds.get(stat.S_IFMT(mode), "a device")


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
