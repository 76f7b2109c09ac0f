"""The lock of a run: only one driver at a time."""

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import IO

from otcondense.errors import InputError
from otcondense.store.files import Store


class DriverLock:
    """Holds a run for one driver while the `with` block runs.

    The kernel releases the lock when the process dies. Object stores cannot lock: `is_held` stays
    False, and users must not start a second driver.

    Raises: InputError on entering if another process holds the run.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._file: IO[str] | None = None

    @property
    def is_held(self) -> bool:
        """Whether this process holds the run."""
        return self._file is not None

    def __enter__(self) -> "DriverLock":
        if not self._store.is_local:
            return self
        path = Path(self._store.path(".lock"))
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            file.close()
            raise InputError(
                f"run {self._store.root} is held by another driver (process {holder}); "
                "wait for it or choose another --run"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self._file = file
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
