"""Reads a stream part by part, keeps the state, and writes the subset at the end."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from jobs.command.progress import note
from jobs.stream.arrow import arrow_parts, parquet_parts
from jobs.stream.checkpoint import Checkpoint, Position
from jobs.stream.files import STANDARD_INPUT, StreamFile, is_followed, list_files
from jobs.stream.numpy_files import npy_parts, npz_parts
from jobs.stream.output import SUFFIXES, report, write_subset
from jobs.stream.parts import Columns, Part
from jobs.stream.settings import read_settings
from jobs.stream.taken import FileRead, new_parts
from jobs.stream.waiting import Waiting
from otcondense.counts import counted
from otcondense.errors import InputError
from otcondense.exports.outputs import check_output
from otcondense.reading import with_home
from otcondense.store import DriverLock, Store
from otcondense.streaming import StreamSelector

READERS = {".npy": npy_parts, ".npz": npz_parts, ".parquet": parquet_parts}
"""What reads a file, by its suffix."""
AMPLE = 10
"""Images of the reservoir for each of the budget, below which the subset fits the reservoir more
than the stream (docs/streaming.md)."""
INPUT = StreamFile(STANDARD_INPUT, "the standard input", None)


def stream(options: argparse.Namespace) -> None:
    """Keep a subset of a stream and write it.

    Raises: InputError for files, settings or a state that cannot be used; the state of all parts
        before is stored.
    """
    config = read_settings(options)
    _check(options)
    with _state_folder(options.state) as store:
        checkpoint = Checkpoint(store, config)
        selector, position = checkpoint.load()
        if selector.seen_:
            note("stream", f"going on after {counted(selector.seen_, 'row')}")
        if config.reservoir <= AMPLE * config.budget:
            note("stream", f"a reservoir of more than {AMPLE} times the budget chooses better")
        reading = Reading(options, checkpoint, selector, position)
        reading.run()
        if not selector.seen_:
            raise InputError(
                f"SOURCE must hold rows of features, found none at {options.source}; run the "
                "command again when some have come"
            )
        write_subset(with_home(options.output).absolute(), selector)
        report(options.output, selector)


@dataclass
class Reading:
    """The files of a stream, read in their order."""

    options: argparse.Namespace
    checkpoint: Checkpoint
    selector: StreamSelector
    position: Position
    unsaved: int = 0
    """Rows since the last checkpoint."""
    is_saved: bool = True

    def run(self) -> None:
        """Read all that is there and, if asked to, all that comes.

        A refused part leaves what came before it, which is stored. An interruption may come between
        a part and its position: then the last checkpoint counts.
        """
        try:
            if self.options.source == STANDARD_INPUT:
                self._read(INPUT)
            elif self.options.follow:
                self._follow()
            else:
                self._read_all()
        except InputError:
            self._save()
            raise
        self._save()

    def _follow(self) -> None:
        with Waiting(self.options.idle) as waiting:
            while not waiting.is_over:
                if self._read_all(waiting):
                    waiting.begin()
                self._save()
                waiting.pause()

    def _read_all(self, waiting: Waiting | None = None) -> bool:
        """Read the files that are there; return whether one of them was new."""
        source = self.options.source
        files = list_files(source)
        self.position.check_files(files)
        if not files and waiting is None:
            raise InputError(f"SOURCE must hold files of features, found none at {source}")
        found = False
        for file in files:
            if waiting is not None and waiting.is_stopped:
                break
            found = self._read(file) or found
        return found

    def _read(self, file: StreamFile) -> bool:
        """Read what is left of a file; return whether there was anything left."""
        before = read = self.position.of(file)
        if before.is_done and self.position.is_unchanged(file):
            return False
        for part in self._new_parts(file, before):
            self._arrive(file, part)
            read = read.after(part)
            self.position.note(file, read)
            self.is_saved = False
            self._save_sometimes(len(part))
        if not read.rows:
            note("stream", f"{file.path} has no rows")
        if file is not INPUT:
            self.position.note(file, read.model_copy(update={"is_done": True}))
            self.is_saved = False
        return not before.is_done or read.rows > before.rows

    def _new_parts(self, file: StreamFile, before: FileRead) -> Iterator[Part]:
        """Return what is left of a file; one that may have changed is compared with what it was."""
        if self.position.is_unchanged(file):
            return self._parts(file, before.rows)
        return new_parts(file.path, before, self._parts(file, 0))

    def _parts(self, file: StreamFile, start: int) -> Iterator[Part]:
        columns = Columns(self.options.ids, self.options.labels)
        if file is INPUT:
            return arrow_parts(sys.stdin.buffer, columns)
        return READERS[Path(file.path).suffix](file.path, start, columns)

    def _arrive(self, file: StreamFile, part: Part) -> None:
        dtype = part.features.dtype.name
        self.position.check_dtype(f"features in {file.path}", dtype)
        try:
            self.selector.partial_fit(part.features, part.ids, part.labels, part.first)
        except InputError as error:
            raise InputError(f"{file.path}: {error}") from error
        self.position.dtype = dtype

    def _save_sometimes(self, rows: int) -> None:
        """Store the state, unless hardly anything has come: many files may hold a few rows each."""
        self.unsaved += rows
        if self.unsaved >= self.selector.config.block:
            self._save()

    def _save(self) -> None:
        if not self.is_saved:
            self.checkpoint.save(self.selector, self.position)
            self.unsaved = 0
            self.is_saved = True


def _check(options: argparse.Namespace) -> None:
    """Check before any work what the command line asks for."""
    if not options.output.endswith(SUFFIXES):
        raise InputError(f"--output must end in {', '.join(SUFFIXES)}, found {options.output}")
    check_output(options.output)
    if options.idle is not None and not (options.follow and options.idle >= 0):
        raise InputError("--idle must be a number of seconds from 0 on, together with --follow")
    if options.follow and not is_followed(options.source):
        raise InputError(
            f"--follow needs a folder or a pattern, found {options.source}; name the folder in "
            "which the files appear"
        )


@contextmanager
def _state_folder(path: str | None) -> Iterator[Store | None]:
    """Give the folder of the state, in which no other command works.

    Raises: InputError if another one does, or it cannot be a folder.
    """
    if path is None:
        yield None
        return
    check_output(path, "--state", is_folder=True)
    store = Store(str(with_home(path).absolute()))
    lock = DriverLock(store)
    try:
        lock.__enter__()
    except InputError as error:
        raise InputError(
            f"--state must be a folder that one command alone works on, found {path}: {error}"
        ) from error
    try:
        yield store
    finally:
        lock.__exit__(None, None, None)
