"""What the last command on a run does, or how it ended: `logs/command.json`.

It is for people, through the page and `otcondense status`; no result depends on it.
"""

import logging
import time
from contextlib import suppress
from typing import Literal

from pydantic import Field, ValidationError

from otcondense.config import Config
from otcondense.store import Store

LOG = logging.getLogger(__name__)
COMMAND_FILE = "logs/command.json"
SENTENCE_CHARACTERS = 2000
"""Most characters of a reason that are kept: an error can quote a whole answer of a server."""
MOST_BYTES = 2**16
"""A larger file is not ours."""

End = Literal["finished", "interrupted", "failed"]
"""How a command ended."""


class LastCommand(Config):
    """The last command that worked on a run."""

    verb: str
    state: Literal["working"] | End = "working"
    """`working` is also what a command says that was killed."""
    started: float
    """Seconds since the epoch."""
    ended: float = 0.0
    """Seconds since the epoch; 0 while it works."""
    sentence: str = ""
    """Why it failed, or where an interrupted training goes on."""
    dashboard: str = Field(default="", pattern=r"^([\w.-]+:\d{1,5}|\[[0-9a-fA-F:]+\]:\d{1,5})?$")
    """Host and port of the dashboard of the Ray cluster that it works on; empty without one."""

    @property
    def has_ended(self) -> bool:
        """Whether it said how it ended."""
        return self.state != "working"


def read_last_command(store: Store) -> LastCommand | None:
    """Return the last command on a run; None if it is unknown, or its file is damaged."""
    with suppress(ValidationError, FileNotFoundError):
        if store.exists(COMMAND_FILE) and store.size(COMMAND_FILE) <= MOST_BYTES:
            return LastCommand.model_validate_json(store.read_bytes(COMMAND_FILE))
    return None


def write_last_command(store: Store, command: LastCommand) -> None:
    """Write what a command does; a failure to write it is logged, and hides no other error."""
    kept = command.model_copy(update={"sentence": command.sentence[:SENTENCE_CHARACTERS]})
    text = kept.model_dump_json(exclude_defaults=True)
    try:
        store.write_bytes(COMMAND_FILE, text.encode())
    except Exception as error:  # noqa: BLE001 - an object store has errors of its own
        LOG.warning("the state of the command is not written: %s", error)


def ended(command: LastCommand, state: End, sentence: str = "") -> LastCommand:
    """Return how a command ended, now."""
    changes = {"state": state, "ended": time.time(), "sentence": sentence}
    return command.model_copy(update=changes)
