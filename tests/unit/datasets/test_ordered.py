"""Images in any order, although every row group of Parquet is read once."""

import io
import itertools
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from otcondense.datasets import SourceConfig, list_images, parquet_cells
from otcondense.datasets.ahead import in_threads, taken_ahead
from otcondense.datasets.images import ListedImages, load_images, record_images
from otcondense.datasets.ordered import read_all
from otcondense.datasets.wanted import WantedImage
from otcondense.errors import InputError

COUNT = 60
GROUPS = 6


def picture(number: int) -> bytes:
    sink = io.BytesIO()
    Image.fromarray(np.full((4, 4), number, dtype=np.uint8)).save(sink, "PNG")
    return sink.getvalue()


@pytest.fixture
def source(tmp_path: Path) -> SourceConfig:
    """Images of three classes, which take turns in the file."""
    table = pa.table(
        {
            "image": [picture(number) for number in range(COUNT)],
            "label": [number % 3 for number in range(COUNT)],
        }
    )
    pq.write_table(table, tmp_path / "data.parquet", row_group_size=COUNT // GROUPS)
    return SourceConfig(path=str(tmp_path / "data.parquet"), kind="parquet")


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The row groups whose reading has started, in order."""
    started: list[int] = []
    whole = parquet_cells._Window._restart

    def counted(window: parquet_cells._Window) -> None:
        started.append(window._row_group)
        whole(window)

    monkeypatch.setattr(parquet_cells._Window, "_restart", counted)
    parquet_cells._window.cache_clear()
    return started


def by_class(source: SourceConfig) -> list[WantedImage]:
    return record_images(list_images(source))


def test_images_in_the_order_of_their_classes_are_read_once(
    source: SourceConfig, starts: list[int]
) -> None:
    images = by_class(source)
    numbers = [number for label in range(3) for number in range(label, COUNT, 3)]
    assert list(read_all(images)) == [picture(number) for number in numbers]
    assert starts == list(range(GROUPS))


def test_listed_images_come_in_parts_and_read_once(
    source: SourceConfig, starts: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("otcondense.datasets.images.PART", 7)
    listed = ListedImages(by_class(source), source, (1, 4, 4))
    parts = list(listed.parts())
    assert [len(part) for part in parts] == [7] * 8 + [4]
    expected = load_images(by_class(source), source, (1, 4, 4)).images
    np.testing.assert_array_equal(np.concatenate(parts), expected)
    assert starts == 2 * list(range(GROUPS))


def test_a_missing_file_is_an_error_with_its_name(source: SourceConfig) -> None:
    images = by_class(source)
    Path(source.path).unlink()
    with pytest.raises(InputError, match=r"data\.parquet"):
        list(read_all(images))


def test_threads_keep_the_order_and_take_few_items_ahead() -> None:
    taken: list[int] = []

    def items() -> object:
        for number in range(20):
            taken.append(number)
            yield number

    results = in_threads(lambda number: number * 2, items(), threads=3, ahead=4)
    assert next(results) == 0
    assert len(taken) == 5
    assert [0, *results] == list(range(0, 40, 2))


def test_items_taken_ahead_keep_their_order_and_their_error() -> None:
    def items() -> Iterator[int]:
        yield from range(5)
        raise KeyError("the sixth")

    found: list[int] = []
    with pytest.raises(KeyError, match="the sixth"):
        found.extend(taken_ahead(items(), 2))
    assert found == list(range(5))


def test_a_user_who_stops_ends_the_thread_that_takes_items() -> None:
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            yield from itertools.count()
        finally:
            closed.set()

    endless = items()
    numbers = taken_ahead(endless, 2)
    assert next(numbers) == 0
    before = threading.active_count()
    numbers.close()
    assert threading.active_count() == before - 1
    endless.close()
    assert closed.is_set()
