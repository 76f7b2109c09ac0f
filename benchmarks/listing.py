"""What it costs to list a source: CPU time and memory, against a Python list of records.

Each way runs in a process of its own, which has listed a small source before: imports and
allocators are paid. The yardsticks in the same run are what the listing was up to version 0.1.0, a
Python record for each row, and the bare columns of labels by pyarrow, without checks, ids or order.

`python -m benchmarks.listing [--quick]`
"""

import argparse
import gc
import multiprocessing
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.harness import finish
from otcondense.datasets import Listing, SourceConfig, scan_images
from otcondense.datasets.building import build_listing
from otcondense.datasets.columns import row_ids
from otcondense.datasets.listing import ListedFile, identity_of
from otcondense.datasets.parts import Labels, Part, spread
from otcondense.datasets.records import ImageRecord
from otcondense.datasets.sources import give_memory_back
from otcondense.datasets.stored import source_listing, write_listing
from otcondense.datasets.trees import SourceFile
from otcondense.store import Store

CLASSES = 1000
GROUP_ROWS = 100
"""Rows of a row group, as in the data sets of the Hugging Face hub."""
FILES = 300
SEED = 0
MEGABYTE = 1e6
MOST_CPU = 3.0
"""Seconds of CPU for a million rows of Parquet."""
MOST_KEPT, MOST_PEAK = 120.0, 400.0
"""Megabytes for a million rows: kept, and at the peak."""


@dataclass(frozen=True)
class Size:
    """Amount of work to measure."""

    rows: int
    files: int
    """Images of the folder."""
    made_up: int
    """Images of a listing of no files."""


FULL = Size(1_000_000, 100_000, 14_000_000)
QUICK = Size(20_000, 2_000, 100_000)


@dataclass(frozen=True)
class Cost:
    """What a way of listing costs."""

    seconds: float
    """Of CPU, of all threads."""
    wall: float
    """Seconds."""
    kept: float
    """Megabytes of the process afterwards, above those before."""
    peak: float
    """Megabytes at most, above those before."""


def memory(entry: str) -> float:
    """Return an entry of /proc/self/status in megabytes: VmRSS or VmHWM."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{entry}:"):
            return int(line.split()[1]) / 1000
    raise AssertionError("Linux states it")


def cost_of(prepare: Callable[[], Any], work: Callable[[], Any]) -> Cost:
    """Return what work costs in a process of its own, after a preparation that is not counted."""
    here, there = multiprocessing.Pipe()
    context = multiprocessing.get_context("fork")
    process = context.Process(target=_measured, args=(there, prepare, work))
    process.start()
    found = here.recv()
    process.join()
    return Cost(*found)


def _measured(connection: Connection, prepare: Callable[[], Any], work: Callable[[], Any]) -> None:
    prepare()
    _release()
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # resets the peak
    before = memory("VmRSS")
    started, cpu = time.perf_counter(), time.process_time()
    result = work()
    seconds, wall = time.process_time() - cpu, time.perf_counter() - started
    peak = memory("VmHWM") - before
    _release()
    connection.send((seconds, wall, memory("VmRSS") - before, peak))
    del result


def _release() -> None:
    gc.collect()
    give_memory_back()


def write_shards(root: Path, rows: int) -> SourceConfig:
    """Write Parquet files of tiny images in random class order."""
    rng = np.random.default_rng(SEED)
    root.mkdir()
    for number, part in enumerate(np.array_split(np.arange(rows), min(FILES, rows // GROUP_ROWS))):
        count = len(part)
        data = pa.array([b"12345678"] * count)
        paths = pa.array([f"{row}.JPEG" for row in part])
        image = pa.StructArray.from_arrays([data, paths], ["bytes", "path"])
        columns = {"image": image, "label": rng.integers(0, CLASSES, count)}
        file = root / f"train-{number:05d}-of-{FILES:05d}.parquet"
        pq.write_table(pa.table(columns), file, row_group_size=GROUP_ROWS)
    return SourceConfig(path=str(root), kind="parquet")


def write_folder(root: Path, files: int) -> SourceConfig:
    """Write empty images in a folder for each class."""
    for number in range(files):
        folder = root / f"n{number % CLASSES:08d}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{folder.name}_{number}.JPEG").touch()
    return SourceConfig(path=str(root))


def as_records(source: SourceConfig) -> list[ImageRecord]:
    """Return a sorted Python record for each row, without any check."""
    records = []
    for file in sorted(Path(source.path).glob("*.parquet")):
        opened = pq.ParquetFile(file)
        labels = opened.read(columns=["label"]).column(0).to_pylist()
        row = 0
        for group in range(opened.num_row_groups):
            for inner in range(opened.metadata.row_group(group).num_rows):
                place = f"cell:{group}/{inner}/image.bytes@{file}"
                name = f"{file.name}/{row:08d}"
                records.append(ImageRecord(name, str(labels[row]), labels[row], place, 8, 0))
                row += 1
    records.sort(key=lambda record: (record.class_index, record.image_id))
    return records


def bare_columns(source: SourceConfig) -> list[pa.Table]:
    """Return the labels of all files."""
    files = sorted(Path(source.path).glob("*.parquet"))
    return [pq.ParquetFile(file).read(columns=["label"]) for file in files]


def walk(source: SourceConfig) -> list[ImageRecord]:
    """Return a sorted Python record for each file of an image folder."""
    records = []
    for index, folder in enumerate(sorted(Path(source.path).iterdir())):
        for file in folder.iterdir():
            status = file.stat()
            name = f"{folder.name}/{file.name}"
            place = (str(file), status.st_size, status.st_mtime_ns)
            records.append(ImageRecord(name, folder.name, index, *place))
    records.sort(key=lambda record: (record.class_index, record.image_id))
    return records


def made_up(rows: int) -> Listing:
    """Return the listing of files that are not there, in random class order."""
    rng = np.random.default_rng(SEED)
    parts = []
    for number, part in enumerate(np.array_split(np.arange(rows), FILES)):
        file = SourceFile(f"train-{number:05d}-of-{FILES:05d}.parquet", f"/{number}", 1, 1)
        codes = rng.integers(0, CLASSES, len(part)).astype(np.int32)
        parts.append(
            Part(
                ids=row_ids(file, len(part)),
                labels=Labels(codes, list(range(CLASSES))),
                size_bytes=spread(110_000, len(part)),
                mtime_ns=spread(1, len(part)),
                file=ListedFile(file.path, "cell", "image.bytes"),
                position=np.arange(len(part)),
            )
        )
    return build_listing(SourceConfig(path="/made-up", kind="parquet"), parts, None, [])


def store_and_read(root: Path, rows: int) -> Listing:
    """Write a made-up listing into a run and read it."""
    source = SourceConfig(path="/made-up", kind="parquet")
    store = Store(str(root))
    write_listing(store, source, made_up(rows))
    return source_listing(store, source)


def main() -> bool:
    """Measure and print; say whether all bounds hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, no bounds")
    quick = parser.parse_args().quick
    size = QUICK if quick else FULL
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        small = write_shards(root / "small", GROUP_ROWS)
        warm = partial(scan_images, small)
        parquet = write_shards(root / "parquet", size.rows)
        folder = write_folder(root / "folder", size.files)
        ways: dict[str, Callable[[], Any]] = {
            "parquet": partial(scan_images, parquet),
            "parquet_records": partial(as_records, parquet),
            "parquet_bare": partial(bare_columns, parquet),
            "folder": partial(scan_images, folder),
            "folder_records": partial(walk, folder),
            "made_up_tenth": partial(made_up, size.made_up // 10),
            "made_up": partial(made_up, size.made_up),
            "stored": partial(store_and_read, root / "run", size.made_up // 10),
        }
        for name, work in ways.items():
            found = cost_of(warm, work)
            print(f"{name}: {found}")
            for figure, value in asdict(found).items():
                figures[f"{name}_{figure}"] = value
        identity = made_up(size.rows)
        started = time.process_time()
        identity_of(identity.table)
        figures["identity_seconds"] = time.process_time() - started
        shutil.rmtree(root / "run", ignore_errors=True)
    rows = size.rows / 1e6
    figures["parquet_kept_per_million"] = figures["parquet_kept"] / rows
    figures["made_up_kept_per_million"] = figures["made_up_kept"] / (size.made_up / 1e6)
    figures["made_up_peak_per_million"] = figures["made_up_peak"] / (size.made_up / 1e6)
    figures["less_memory"] = figures["parquet_records_kept"] / figures["parquet_kept"]
    figures["less_time"] = figures["parquet_records_seconds"] / figures["parquet_seconds"]
    bounds = {
        "parquet_seconds": {"at_most": MOST_CPU},
        "parquet_kept": {"at_most": MOST_KEPT},
        "parquet_peak": {"at_most": MOST_PEAK},
        "made_up_kept_per_million": {"at_most": MOST_KEPT},
        "made_up_peak_per_million": {"at_most": MOST_PEAK},
    }
    return finish("listing", figures, {} if quick else bounds)


if __name__ == "__main__":
    raise SystemExit(0 if main() else 1)
