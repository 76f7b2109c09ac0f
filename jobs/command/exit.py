"""How every verb ends: one set of exit statuses, one sentence for each failure a user can cause."""

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jobs.run_directory.stages import command_of
from otcondense.errors import (
    InputError,
    MissingInputError,
    RunFileError,
    remote_fault,
    storage_fault,
)

DONE = 0
PROBLEMS = 1
"""The verb worked and found something wrong: a failed unit, a damaged file."""
MISTAKE = 2
"""A mistake of the user's, or storage that failed."""
INTERRUPTED = 130
"""128 + SIGINT, as shells report it."""
RESUME = (
    "Finished work is kept; run the same command again to resume (a training from its last "
    "checkpoint)."
)

Work = Callable[[], int | None]


@dataclass
class _Ended:
    status: int = DONE


_LAST = _Ended()


def ended_with() -> int:
    """Return the exit status of the verb that ended last in this process."""
    return _LAST.status


def exit_with(work: Work, advice: str = "") -> None:
    """Run a verb; leave the process with its exit status, unless that is `DONE`.

    Args:
        work: reads the command line and runs the verb; it returns its exit status, or None for
            `DONE`.
        advice: a sentence added when the verb is interrupted or the storage fails.
    """
    signal.signal(signal.SIGTERM, interrupt)
    status = _LAST.status = _status(work, advice)
    if status != DONE:
        sys.exit(status)


def _status(work: Work, advice: str) -> int:
    try:
        return _flushed(work)
    except InputError as error:
        return _report(f"error: {fault_of(error)}", MISTAKE)
    except KeyboardInterrupt as error:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _leave_at_once)
        where = f": {error}" if error.args else ""
        return _report(_join(f"interrupted{where}.", advice), INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output has left, as `head` does: there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PROBLEMS
    except Exception as error:
        sentence = fault_of(error)
        if sentence is None:
            raise
        return _report(_join(f"error: {sentence}", advice), MISTAKE)


def fault_of(error: BaseException) -> str | None:
    """Return a sentence about a mistake, or a fault of the machine or the network.

    Returns: None for any other error.
    """
    if isinstance(error, RunFileError):
        when = "first" if isinstance(error, MissingInputError) else "again"
        command = command_of(error.file)
        return f"{error}; run {command} {when}, with the same run and settings"
    if isinstance(error, InputError):
        return str(error)
    storage = storage_fault(error)
    if storage is not None:
        return f"{storage.filename or 'storage'}: {storage.strerror or storage}."
    remote = remote_fault(error)
    if remote is not None:
        return f"object store: {remote}; check its address, the credentials and the network."
    if isinstance(error, MemoryError):
        return f"there is not enough memory{': ' if str(error) else ''}{error}."
    return None


def _flushed(work: Work) -> int:
    """Return the exit status; a reader that has left is noticed here, not after the end."""
    try:
        return work() or DONE
    finally:
        sys.stdout.flush()


def _report(sentence: str, status: int) -> int:
    print(f"\n{sentence}", file=sys.stderr)
    return status


def _join(*sentences: str) -> str:
    return " ".join(sentence for sentence in sentences if sentence)


def interrupt(*_: Any) -> None:
    """Answer a signal as Ctrl-C is answered.

    Raises: KeyboardInterrupt.
    """
    raise KeyboardInterrupt


def _leave_at_once(*_: Any) -> None:
    """End without waiting for Ray; its processes notice that the driver is gone."""
    os._exit(INTERRUPTED)
