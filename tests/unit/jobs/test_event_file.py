"""TensorBoard's file on disks and object stores; a full disk must not stop the training."""

from pathlib import Path

import pytest

from jobs.trackers import event_file
from jobs.trackers.event_file import EventFile
from otcondense.store import Store
from tests.generators.tracked import read_tensorboard


def copy_of(store: Store, folder: Path) -> Path:
    """Copy the files of a store to a folder, as TensorBoard finds them there."""
    folder.mkdir()
    for name in store.list("a"):
        (folder / Path(name).name).write_bytes(store.read_bytes(name))
    return folder


@pytest.mark.parametrize("root", ["disk", "memory://events/run"])
def test_tensorboard_reads_what_is_written(root: str, tmp_path: Path) -> None:
    """An object store gets the whole file after a pause, and at the end."""
    store = Store(str(tmp_path / root) if root == "disk" else root)
    now = [0.0]
    file = EventFile(store, "a", 0, clock=lambda: now[0])
    file.add({"loss": 0.5}, 3)
    assert len(store.list("a")) == int(store.is_local)
    now[0] = event_file.REMOTE_SECONDS
    file.add({"loss": 0.25, "rate": 2.0}, 6)
    first = read_tensorboard(copy_of(store, tmp_path / "first")).values
    file.add({"loss": 0.125}, 9)
    file.close()
    last = read_tensorboard(copy_of(store, tmp_path / "last")).values
    assert first == {"loss": [(3, 0.5), (6, 0.25)], "rate": [(6, 2.0)]}
    assert last["loss"] == [(3, 0.5), (6, 0.25), (9, 0.125)]


def test_later_steps_of_an_earlier_start_are_ignored(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    for start, steps in ((0, (3, 6)), (3, (4,))):
        file = EventFile(store, "a", start)
        for step in steps:
            file.add({"loss": start + step}, step)
        file.close()
    assert read_tensorboard(tmp_path / "a").values == {"loss": [(3, 3.0), (4, 7.0)]}


def test_a_full_disk_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = EventFile(Store(str(tmp_path)), "a", 0)
    full = Path("/dev/full").open("wb", buffering=0)  # noqa: SIM115 - the file closes it
    file._writer._py_recordio_writer._writer = full
    file.add({"loss": 0.5}, 3)
    file.add({"loss": 0.4}, 4)
    file.close()
    assert caplog.text.count("no longer written: [Errno 28] No space left on device") == 1


def test_a_file_in_the_place_of_the_folder_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a").write_text("x")
    file = EventFile(Store(str(tmp_path)), "a", 0)
    file.add({"loss": 0.5}, 3)
    file.close()
    assert "no longer written" in caplog.text
