"""The loss and the times of a training in a file for TensorBoard."""

import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LOG = logging.getLogger(__name__)


class EventFile:
    """One file of TensorBoard's events, written without a thread.

    If it cannot be written, there is a warning and no further try: a log must not stop a training.
    """

    def __init__(self, directory: str, start: int) -> None:
        """Open a file; TensorBoard will ignore later steps that an earlier start left.

        Args:
            directory: its folder.
            start: number of steps that are finished.
        """
        self._writer: Any = None
        try:
            self._open(directory, start)
        except OSError as error:
            self._give_up(error)

    def _open(self, directory: str, start: int) -> None:
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        Path(directory).mkdir(parents=True, exist_ok=True)
        self._writer = EventsWriter(os.path.join(directory, "events"))  # noqa: PTH118 - a prefix
        opening = SessionLog(status=SessionLog.START)
        self._writer.write_event(Event(wall_time=time.time(), step=start + 1, session_log=opening))

    def add(self, values: Mapping[str, float], step: int) -> None:
        """Write values of one step."""
        if self._writer is None:
            return
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.summary import scalar

        try:
            for name, value in values.items():
                summary = scalar(name, value)
                self._writer.write_event(Event(wall_time=time.time(), step=step, summary=summary))
            self._writer.flush()
        except OSError as error:
            self._give_up(error)

    def close(self) -> None:
        """Close the file."""
        if self._writer is None:
            return
        try:
            self._writer.close()
        except OSError as error:
            self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        LOG.warning("TensorBoard's file is no longer written: %s", error)
        self._writer = None
