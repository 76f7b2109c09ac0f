"""A command notes in its run how it ends, so that the page and the status can say it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from pydantic import ValidationError

from jobs.command.exit import fault_of
from jobs.run_directory.last_command import End, LastCommand, ended, write_last_command
from otcondense.store import Store


class Recording:
    """The note of a command at work."""

    def __init__(self, store: Store, verb: str) -> None:
        self._store = store
        self._note = LastCommand(verb=verb, started=time.time())
        write_last_command(store, self._note)

    def note_dashboard(self, address: str) -> None:
        """Note where the dashboard of Ray answers; what is no host and port is left out."""
        values: dict[str, Any] = {**self._note.model_dump(), "dashboard": address}
        with suppress(ValidationError):
            self._note = LastCommand.model_validate(values)
            write_last_command(self._store, self._note)

    def end(self, state: End, sentence: str = "") -> None:
        """Note how the command ended."""
        write_last_command(self._store, ended(self._note, state, sentence))


_at_work: list[Recording] = []
"""The commands that this process records, one within the other."""


def note_dashboard(address: str) -> None:
    """Note for the commands at work where the dashboard of their Ray cluster answers."""
    for recording in _at_work:
        recording.note_dashboard(address)


@contextmanager
def recorded(store: Store, verb: str) -> Iterator[None]:
    """Note that a command works on a run, and at the end of the block how it ended.

    Call it only while holding the run's lock. A process that is killed leaves `working`.
    """
    recording = Recording(store, verb)
    _at_work.append(recording)
    try:
        yield
    except KeyboardInterrupt as error:
        recording.end("interrupted", str(error))
        raise
    except BaseException as error:
        recording.end("failed", _reason(error))
        raise
    else:
        recording.end("finished")
    finally:
        _at_work.remove(recording)


def _reason(error: BaseException) -> str:
    """Return why a command failed, in one sentence without its full stop."""
    known = fault_of(error)
    if known is None:
        lines = str(error).strip().splitlines() or [""]
        known = f"{type(error).__name__}: {lines[0]} (the terminal shows where)"
    return known.removesuffix(".")
