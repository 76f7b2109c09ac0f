"""The state of a stream in a folder: images in memory, and how far each file was read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from jobs.stream.files import STANDARD_INPUT, StreamFile
from otcondense.config import Config
from otcondense.errors import InputError
from otcondense.store import Store, fingerprint
from otcondense.store.tables import read_table, table_metadata, write_table
from otcondense.streaming import StreamConfig, StreamSelector, StreamState
from otcondense.streaming.state import StreamFacts

NAME = "stream.parquet"
"""File of the state."""


class FileRead(Config):
    """How far a file was read."""

    name: str
    size: int
    """In bytes, when it was read; 0 for the standard input."""
    rows: int
    """Rows that were read."""
    is_done: bool


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

    def start_of(self, file: StreamFile) -> int | None:
        """Return the row from which a file is read; None if it was read to its end.

        Raises: InputError if it has another size than when it was read.
        """
        found = self.files.get(file.name)
        if found is None:
            return 0
        if found.size != file.size:
            raise InputError(
                f"{file.path} must stay as it was read ({found.size} bytes), found {file.size} "
                "bytes; restore it, or begin again with another --state"
            )
        return None if found.is_done else found.rows

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

    def note_rows(self, file: StreamFile, rows: int, *, is_done: bool) -> None:
        """Note that a file was read up to a row."""
        self.files[file.name] = FileRead(name=file.name, size=file.size, rows=rows, is_done=is_done)

    def check_dtype(self, where: str, dtype: str) -> None:
        """Refuse features of another type than those before.

        Raises: InputError naming both.
        """
        if self.dtype and dtype != self.dtype:
            raise InputError(
                f"{where} must hold {self.dtype} as the rows before, found {dtype}; do the "
                "features come from another encoder?"
            )
        self.dtype = dtype


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
        stored = table_metadata(table)
        facts = Facts.model_validate(stored["facts"])
        _check_settings(self.store.path(), facts.stream.config, self.config)
        position = Position({each.name: each for each in facts.files}, facts.dtype)
        return StreamSelector.from_state(StreamState(facts.stream, table)), position

    def save(self, selector: StreamSelector, position: Position) -> None:
        """Store the stream, whole or not at all."""
        if self.store is None:
            return
        state = selector.state()
        files = tuple(position.files.values())
        facts = Facts(stream=state.facts, dtype=position.dtype, files=files)
        print_of = fingerprint(self.config)
        write_table(self.store, NAME, state.images, fingerprint=print_of, facts=facts)


def _check_settings(where: str, stored: StreamConfig, wanted: StreamConfig) -> None:
    before: Mapping[str, object] = stored.model_dump(mode="json")
    now = wanted.model_dump(mode="json")
    for name, value in now.items():
        if name != "threads" and before[name] != value:
            raise InputError(
                f"--state {where} was begun with {name}={before[name]}, found {value}; use the "
                "same settings, or another --state"
            )
