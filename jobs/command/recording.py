"""A command notes in its run how it ends, so that the page and the status can say it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from jobs.command.exit import fault_of
from jobs.run_directory.last_command import LastCommand, ended, write_last_command
from otcondense.store import Store


@contextmanager
def recorded(store: Store, verb: str) -> Iterator[None]:
    """Note that a command works on a run, and at the end of the block how it ended.

    Call it only while holding the run's lock. A process that is killed leaves `working`.
    """
    command = LastCommand(verb=verb, started=time.time())
    write_last_command(store, command)
    try:
        yield
    except KeyboardInterrupt as error:
        write_last_command(store, ended(command, "interrupted", str(error)))
        raise
    except BaseException as error:
        write_last_command(store, ended(command, "failed", _reason(error)))
        raise
    write_last_command(store, ended(command, "finished"))


def _reason(error: BaseException) -> str:
    """Return why a command failed, in one sentence without its full stop."""
    known = fault_of(error)
    if known is None:
        lines = str(error).strip().splitlines() or [""]
        known = f"{type(error).__name__}: {lines[0]} (the terminal shows where)"
    return known.removesuffix(".")
