"""Made-up streams of features, in memory and as files."""

import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from jaxtyping import Float32

from otcondense.streaming import StreamSelector
from tests.verbs import call

SMALL = {"reservoir": 12, "check_rows": 10, "block": 7, "lower_bound": None}
"""Settings with which a few dozen images make several blocks."""


def points(count: int, width: int = 3, seed: int = 0) -> Float32[np.ndarray, "n d"]:
    """Return points of two groups."""
    generator = np.random.default_rng(seed)
    groups = generator.integers(2, size=(count, 1)) * 4
    values: np.ndarray = (generator.normal(size=(count, width)) + groups).astype(np.float32)
    return values


def fed(selector: StreamSelector, batch: int, count: int = 36) -> StreamSelector:
    """Return the selector after a stream that comes in batches of one size, with ids and labels."""
    features = points(count)
    for start in range(0, count, batch):
        stop = min(count, start + batch)
        ids = [f"image {row}" for row in range(start, stop)]
        labels = [("a", "b", "ü")[row % 7 % 3] for row in range(start, stop)]
        selector = selector.partial_fit(features[start:stop], ids=ids, labels=labels)
    return selector


ROWS, FILES = 36, 4
"""Images of a stream as files, and the number of files."""
FAST = ["--budget=2", "reservoir=12", "check_rows=10", "block=7", "lower_bound=null"]
IDS = [f"image {row}" for row in range(ROWS)]
LABELS = [("a", "b")[row % 5 % 2] for row in range(ROWS)]


def table(start: int = 0, stop: int = ROWS) -> pa.Table:
    """Return rows with ids and labels."""
    return pa.table(
        {
            "features": pa.array(list(points(ROWS)[start:stop])),
            "ids": IDS[start:stop],
            "labels": LABELS[start:stop],
        }
    )


def write_npy(path: Path, start: int, stop: int) -> None:
    np.save(path.with_suffix(".npy"), points(ROWS)[start:stop])


def write_npz(path: Path, start: int, stop: int) -> None:
    features = points(ROWS)[start:stop]
    np.savez(
        path.with_suffix(".npz"), features=features, ids=IDS[start:stop], labels=LABELS[start:stop]
    )


def write_parquet(path: Path, start: int, stop: int) -> None:
    pq.write_table(table(start, stop), path.with_suffix(".parquet"), row_group_size=4)


WRITERS: dict[str, Callable[[Path, int, int], None]] = {
    "npy": write_npy,
    "npz": write_npz,
    "parquet": write_parquet,
}


def folder_of(root: Path, kind: str) -> Path:
    """Write the stream as a folder of files."""
    folder = root / kind
    folder.mkdir()
    size = ROWS // FILES
    for start in range(0, ROWS, size):
        WRITERS[kind](folder / f"part-{start:02d}", start, start + size)
    return folder


def ipc(rows: pa.Table | None = None) -> bytes:
    """Return rows, by default the whole stream, as Arrow record batches."""
    rows = table() if rows is None else rows
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows, max_chunksize=5)
    return sink.getvalue()


def send(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    """Put bytes on the standard input."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def chosen(root: Path, source: object, *words: str) -> list[Any]:
    """Return the list that the command writes."""
    output = root / "subset.json"
    call("stream", [str(source), f"--output={output}", *FAST, *words])
    found: list[Any] = json.loads(output.read_text())
    return found


def refusal(capsys: pytest.CaptureFixture[str], root: Path, source: object, *words: str) -> str:
    """Return the one sentence with which a command is refused."""
    capsys.readouterr()
    with pytest.raises(SystemExit):
        chosen(root, source, *words)
    said = capsys.readouterr().err
    assert said.count("error:") == 1
    assert "Traceback" not in said
    return said


FIRST, LAST = 9, 18
"""Rows of the second of four files."""
SMALL_PART = 4
"""Rows of a part here."""
BAD = 6
"""Row of a file that is refused; it is not in the first part."""


def with_value(row: int, value: float) -> np.ndarray:
    """Return the features with a number in one row."""
    features = points(ROWS)[FIRST:LAST]
    features[row, 1] = value
    return features


@dataclass
class Rows:
    """What a file holds."""

    features: Any = field(default_factory=lambda: points(ROWS)[FIRST:LAST])
    ids: list[Any] = field(default_factory=lambda: IDS[FIRST:LAST])
    labels: list[Any] = field(default_factory=lambda: LABELS[FIRST:LAST])

    def table(self) -> pa.Table:
        """Return the rows as columns."""
        columns = {"features": list(self.features), "ids": self.ids, "labels": self.labels}
        kind = getattr(self.features, "dtype", np.dtype(np.float32))
        return pa.table(columns | {"features": pa.array(columns["features"], lists(kind))})

    def write(self, path: Path) -> None:
        """Write the rows in the format of the suffix."""
        if path.suffix == ".npy":
            np.save(path, self.features)
        elif path.suffix == ".npz":
            np.savez_compressed(path, features=self.features, ids=self.ids, labels=self.labels)
        else:
            pq.write_table(self.table(), path, row_group_size=3)


def lists(kind: np.dtype[Any]) -> pa.DataType:
    return pa.list_(pa.from_numpy_dtype(kind))
