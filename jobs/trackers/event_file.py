"""A file of TensorBoard's events, on a local disk or an object store."""

import logging
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from otcondense.store import Store

LOG = logging.getLogger(__name__)
REMOTE_SECONDS = 20.0
"""Least time between two uploads to an object store, each of the whole file: 0.6 MB for 2,000
lines."""


class EventFile:
    """One file of TensorBoard's events, written without a thread.

    For an object store it is written in a temporary folder and uploaded whole, at most every
    `REMOTE_SECONDS`. If it cannot be written, there is a warning and no further try: a log must not
    stop a training.
    """

    def __init__(
        self,
        store: Store,
        directory: str,
        start: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open a file.

        Args:
            store: of the run.
            directory: folder of the file in the store.
            start: number of steps that are finished: TensorBoard will ignore later ones that an
                earlier start left; None ignores none.
            clock: seconds, which only grow.
        """
        self._store = store
        self._directory = directory
        self._clock = clock
        self._uploaded = clock()
        self._writer: Any = None
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._guarded(lambda: self._open(start))

    def _open(self, start: int | None) -> None:
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        if self._store.is_local:
            folder = Path(self._store.path(self._directory))
            folder.mkdir(parents=True, exist_ok=True)
        else:
            self._temporary = tempfile.TemporaryDirectory(prefix="otcondense-events-")
            folder = Path(self._temporary.name)
        self._writer = EventsWriter(str(folder / "events"), filename_suffix=f".{time.time_ns()}")
        if start is None:
            return
        opening = SessionLog(status=SessionLog.START)
        self._writer.write_event(Event(wall_time=time.time(), step=start + 1, session_log=opening))

    def add(self, values: Mapping[str, float], step: int) -> None:
        """Write values of one step."""
        from tensorboardX.summary import scalar

        self._add([scalar(name, value) for name, value in values.items()], step)

    def add_image(self, name: str, png: bytes, step: int) -> None:
        """Write a picture of one step, a PNG file."""
        from tensorboardX.proto.summary_pb2 import Summary

        picture = Summary.Image(encoded_image_string=png)
        self._add([Summary(value=[Summary.Value(tag=name, image=picture)])], step)

    def add_text(self, name: str, text: str) -> None:
        """Write a text in Markdown."""
        from tensorboardX.summary import text as text_summary

        self._add([text_summary(name, text)], 0)

    def _add(self, summaries: list[Any], step: int) -> None:
        from tensorboardX.proto.event_pb2 import Event

        def write() -> None:
            for summary in summaries:
                self._writer.write_event(Event(wall_time=time.time(), step=step, summary=summary))
            self._writer.flush()
            if self._clock() - self._uploaded >= REMOTE_SECONDS:
                self._upload()

        self._guarded(write, needs_file=True)

    def _upload(self) -> None:
        """Write the whole file to the object store; a local one is there already."""
        if self._temporary is None:
            return
        (path,) = Path(self._temporary.name).iterdir()
        self._store.write_bytes(f"{self._directory}/{path.name}", path.read_bytes())
        self._uploaded = self._clock()

    def close(self) -> None:
        """Upload what is left, and close the file."""

        def end() -> None:
            self._writer.close()
            self._upload()

        self._guarded(end, needs_file=True)
        if self._temporary is not None:
            self._temporary.cleanup()

    def _guarded(self, action: Callable[[], None], *, needs_file: bool = False) -> None:
        """Do what may fail; the first failure is a warning and ends all writing."""
        if needs_file and self._writer is None:
            return
        try:
            action()
        except Exception as error:  # noqa: BLE001 - object stores have errors of their own
            LOG.warning("TensorBoard's file is no longer written: %s", error)
            self._writer = None
