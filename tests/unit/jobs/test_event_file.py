"""TensorBoard's file of a training; a full disk must not stop the training."""

from pathlib import Path

import pytest

from jobs.train.event_file import EventFile


def steps(folder: Path) -> list[tuple[str, int, float]]:
    """Return the values that TensorBoard reads, as (name, step, value)."""
    from tensorboardX.proto.event_pb2 import Event

    found = []
    (path,) = folder.iterdir()
    data = path.read_bytes()
    while data:
        length = int.from_bytes(data[:8], "little")
        event = Event.FromString(data[12 : 12 + length])
        found += [(value.tag, event.step, value.simple_value) for value in event.summary.value]
        data = data[16 + length :]
    return found


def test_values_are_written_at_once(tmp_path: Path) -> None:
    file = EventFile(str(tmp_path / "a"), 0)
    file.add({"loss": 0.5, "rate": 2.0}, 3)
    assert steps(tmp_path / "a") == [("loss", 3, 0.5), ("rate", 3, 2.0)]
    file.close()


def test_a_full_disk_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = EventFile(str(tmp_path / "a"), 0)
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
    file = EventFile(str(tmp_path / "a"), 0)
    file.add({"loss": 0.5}, 3)
    file.close()
    assert "no longer written" in caplog.text
