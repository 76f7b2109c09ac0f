"""Selection, metrics and grids of a run for TensorBoard, next to the curves of its trainings."""

from collections.abc import Mapping, Sequence

from jobs.trackers.event_file import EventFile
from jobs.trackers.tracker import Row, Subject

FOLDER = "logs/tensorboard"


class TensorboardTracker:
    """One event file in the run directory, on a local disk or an object store.

    The curves of trainings are not here: workers write them, with a file for each training.
    """

    def __init__(self) -> None:
        self._file: EventFile | None = None
        self._place = ""

    def start(self, subject: Subject) -> str:
        """Open a file; those of earlier starts stay, and TensorBoard shows them together."""
        self._place = subject.store.path("logs")
        self._file = EventFile(subject.store, FOLDER)
        return FOLDER

    def stage(self, name: str) -> None:
        """Leave it out: TensorBoard shows no states."""

    def values(self, group: str, values: Mapping[str, float], step: int | None) -> None:
        """Show values but those of a training's steps."""
        if self._file is not None and not group.startswith("train/"):
            named = {f"{group}/{name}": value for name, value in values.items()}
            self._file.add(named, step or 0)

    def table(self, name: str, rows: Sequence[Row]) -> None:
        """Show a table as text."""
        if self._file is None:
            return
        columns = list(dict.fromkeys(key for row in rows for key in row))
        lines = [columns, ["---"] * len(columns)]
        lines += [[_cell(row.get(column, "")) for column in columns] for row in rows]
        self._file.add_text(name, "\n".join(f"| {' | '.join(line)} |" for line in lines))

    def image(self, group: str, png: bytes, step: int) -> None:
        """Show a picture."""
        if self._file is not None:
            self._file.add_image(f"{group}/grid", png, step)

    def file(self, name: str, data: bytes) -> None:
        """Leave it out: the file is in the run directory."""

    def finish(self, *, failed: bool) -> str:  # noqa: ARG002 - TensorBoard shows no states
        """Close the file; return the command that shows it."""
        if self._file is not None:
            self._file.close()
        return f"tensorboard --logdir {self._place}"


def _cell(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.6g}"
