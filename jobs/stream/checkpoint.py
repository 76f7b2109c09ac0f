"""The state of a stream in a folder: images in memory, and how far each file was read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import ValidationError

from jobs.stream.files import STANDARD_INPUT, StreamFile
from jobs.stream.stamps import NAME as STAMPS
from jobs.stream.stamps import Stamp, Stamps, read_stamps
from jobs.stream.taken import FileRead
from otcondense.config import Config
from otcondense.errors import InputError
from otcondense.store import Store, fingerprint
from otcondense.store.tables import read_table, table_metadata, write_table
from otcondense.streaming import StreamConfig, StreamSelector, StreamState
from otcondense.streaming.state import StreamFacts

NAME = "stream.parquet"
"""File of the state."""
AT_THE_END = frozenset({"small_class", "confidence", "lower_bound", "threads"})
"""Settings that the state does not depend on: another result may be asked of it."""


class Facts(Config):
    """What is stored with the images in memory."""

    stream: StreamFacts
    dtype: str
    """Type of the features in the first file."""
    files: tuple[FileRead, ...]


@dataclass
class Position:
    """How far the files of a stream were read."""

    files: dict[str, FileRead] = field(default_factory=dict)
    dtype: str = ""
    """Type of the features; empty before the first."""
    stamps: dict[str, Stamp] = field(default_factory=dict)
    """Of the files, when they were read."""

    def of(self, file: StreamFile) -> FileRead:
        """Return how far a file was read."""
        return self.files.get(file.name, FileRead(name=file.name))

    def is_unchanged(self, file: StreamFile) -> bool:
        """Tell whether a file is certainly the one that was read, without a look into it."""
        return file.stamp is not None and self.stamps.get(file.name) == file.stamp

    def check_files(self, listed: Sequence[StreamFile]) -> None:
        """Refuse a source that has lost a file that was read only in part.

        Raises: InputError naming the file.
        """
        there = {file.name for file in listed} | {STANDARD_INPUT}
        for found in self.files.values():
            if not found.is_done and found.name not in there:
                raise InputError(
                    f"{found.name} must be there until it was read to its end, found nothing after "
                    f"{found.rows} rows; restore it, or begin again with another --state"
                )

    def note(self, file: StreamFile, read: FileRead) -> None:
        """Note how far a file was read."""
        self.files[file.name] = read
        if file.stamp is not None:
            self.stamps[file.name] = file.stamp

    def check_dtype(self, where: str, dtype: str) -> None:
        """Refuse features of another type than those before.

        Raises: InputError naming both.
        """
        if self.dtype and dtype != self.dtype:
            raise InputError(
                f"{where} must hold {self.dtype} as the rows before, found {dtype}; do the "
                "features come from another encoder?"
            )


@dataclass(frozen=True)
class Checkpoint:
    """A folder for the state; without one, nothing is stored."""

    store: Store | None
    config: StreamConfig

    def load(self) -> tuple[StreamSelector, Position]:
        """Return the stored stream, or one that has not begun.

        Raises: InputError if the state is damaged, or of other settings.
        """
        if self.store is not None:
            self.store.remove_temporaries()
        if self.store is None or not self.store.exists(NAME):
            return StreamSelector.from_config(self.config), Position()
        table = read_table(self.store, NAME)
        facts = _facts(self.store.path(NAME), table_metadata(table)["facts"])
        _check_settings(self.store.path(), facts.stream.config, self.config)
        stream = facts.stream.model_copy(update={"config": self.config})
        stamps = read_stamps(self.store).files
        position = Position({each.name: each for each in facts.files}, facts.dtype, stamps)
        return StreamSelector.from_state(StreamState(stream, table)), position

    def save(self, selector: StreamSelector, position: Position) -> None:
        """Store the stream, whole or not at all."""
        if self.store is None:
            return
        state = selector.state()
        files = tuple(position.files.values())
        facts = Facts(stream=state.facts, dtype=position.dtype, files=files)
        print_of = fingerprint(self.config)
        write_table(self.store, NAME, state.images, fingerprint=print_of, facts=facts)
        self.store.write_json(STAMPS, Stamps(files=position.stamps))


def _facts(where: str, stored: object) -> Facts:
    try:
        return Facts.model_validate(stored)
    except ValidationError as error:
        raise InputError(
            f"{where} must be the state of a stream of this version of OTCondense, found another "
            "one; begin again with another --state"
        ) from error


def _check_settings(where: str, stored: StreamConfig, wanted: StreamConfig) -> None:
    before: Mapping[str, object] = stored.model_dump(mode="json")
    now = wanted.model_dump(mode="json")
    for name, value in now.items():
        if name not in AT_THE_END and before[name] != value:
            raise InputError(
                f"--state {where} was begun with {name}={before[name]}, found {value}; use the "
                "same settings, or another --state"
            )
