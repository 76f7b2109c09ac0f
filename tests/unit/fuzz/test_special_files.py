"""Special files are never opened: each place that takes a file refuses a FIFO, a socket, a device.

A FIFO without a writer blocks the process that opens it, forever; a device has no end.
"""

import os
import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest

from jobs.command.settings import load_config
from otcondense.datasets import SourceConfig, list_images, read_image_bytes
from otcondense.datasets.readings import readings
from otcondense.encoders import InputSpec
from otcondense.errors import InputError
from otcondense.reading import RefusedFileError, open_regular
from pipeline.feature_work import spec_transform
from pipeline.images import decode
from tests.unit.fuzz.kinds import KINDS

SECONDS = 5
"""After so many seconds a reader counts as blocked."""


def fifo(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def listening(path: Path) -> None:
    # The path of a socket has at most 107 bytes.
    here = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def folder(path: Path) -> None:
    path.mkdir()


SPECIAL: dict[str, Callable[[Path], None]] = {
    "FIFO": fifo,
    "device": device,
    "socket": listening,
    "folder": folder,
}


@contextmanager
def not_blocked() -> Iterator[None]:
    """Fail if the block takes too long: it waits for a writer, or reads without an end."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError("the reader opened a special file")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("special", SPECIAL)
@pytest.mark.parametrize("kind", KINDS)
def test_a_special_file_is_refused(tmp_path: Path, kind: str, special: str) -> None:
    file = KINDS[kind].write(tmp_path)
    file.unlink()
    SPECIAL[special](file)
    with not_blocked():
        try:
            KINDS[kind].read(file)
        except InputError as error:
            refused = str(error)
        else:
            refused = "read without it"
    assert refused
    # Only an image among others may be left out: it is quarantined, or it is a folder of images.
    assert refused != "read without it" or kind in ("image",) or special == "folder"


@pytest.mark.parametrize("special", ["FIFO", "device", "socket"])
def test_a_special_file_among_images_is_quarantined_by_name(tmp_path: Path, special: str) -> None:
    (tmp_path / "cat").mkdir()
    SPECIAL[special](tmp_path / "cat" / "1.png")
    source = SourceConfig(path=str(tmp_path), allow_links=True)
    (record,) = list_images(source)
    with not_blocked(), pytest.raises(RefusedFileError, match=f"found a {special} there"):
        read_image_bytes(record.path)
    transform = spec_transform(InputSpec(8, 8, 1, (0.5,), (0.5,), "bicubic", 1.0, "center"), 100)
    with not_blocked():
        (read,) = readings([record.path])
        status = decode(read, transform)
    assert status.reason is not None
    assert f"found a {special} there" in status.reason


def test_a_regular_file_that_becomes_a_fifo_does_not_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at a file and its opening, another process may replace it."""
    path = tmp_path / "x"
    path.write_bytes(b"x")

    def replaced(_: Path) -> int:
        found = path.stat().st_mode
        path.unlink()
        os.mkfifo(path)
        return found

    monkeypatch.setattr("otcondense.reading.mode_of", replaced)
    with not_blocked(), pytest.raises(RefusedFileError, match="found a FIFO"):
        open_regular(path)


def test_a_configuration_that_is_a_folder_is_called_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must be a file, found a folder there"):
        load_config(str(tmp_path), [])
    shutil.copy("jobs/configs/demo.yaml", tmp_path / "a.yaml")
    (tmp_path / "b.yaml").write_text("base: .\n")
    with pytest.raises(InputError, match="found a folder there"):
        load_config(str(tmp_path / "b.yaml"), [])
