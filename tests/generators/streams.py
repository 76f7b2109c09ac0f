"""Made-up streams of features, in memory and as files."""

import io
import json
import sys
from collections.abc import Callable
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


def ipc() -> bytes:
    """Return the stream as Arrow record batches."""
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table().schema) as writer:
        writer.write_table(table(), max_chunksize=5)
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
