"""How often a source is read to extract its features, whatever the order of its images.

The bytes that the process reads are counted by the kernel. The yardstick in the same run reads the
images class by class, each by its location, as the extraction did up to version 0.1.0.

`python -m benchmarks.reading [--quick]`
"""

import argparse
import io
import shutil
import statistics
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from benchmarks.harness import finish
from benchmarks.networks import make_encoder
from otcondense.datasets import SourceConfig, list_images, read_image_bytes
from otcondense.store import ClassFeatures, Store, read_class_features, write_class_features
from pipeline.class_files import ClassGroup
from pipeline.extract import extract_features
from pipeline.extraction_config import ExtractionConfig
from pipeline.stream import Here

SIDE = 320
"""Side of an image in pixels: noise of this size takes about as many bytes as a photograph of
ImageNet."""
GROUP_ROWS = 100
"""Rows of a row group, as in the data sets of the Hugging Face hub."""
READ_IMAGES = 1300
"""Images of the largest class of ImageNet."""
READ_WIDTH = 2048
"""Features of a ResNet-50."""
READ_REPEATS = 20
FILES = 4
"""Files that a source in containers has."""
MOST_READ = 1.05
"""Bytes read for each byte of the source: once, with the listing and the weights."""
MOST_READ_QUICK = 1.1
"""The same of a tenth of the images: the weights are 2 % of what is read."""
SEED = 0
COUNTER = "rchar"
"""Entry of /proc/self/io: bytes that the process read, from a disk or from memory."""


@dataclass(frozen=True)
class Size:
    """Amount of work to measure."""

    classes: int
    images: int
    """Of each class."""


def photographs(size: Size) -> Iterator[tuple[int, bytes]]:
    """Yield class and bytes of images of noise, in random order of the classes."""
    rng = np.random.default_rng(SEED)
    labels = rng.permutation(np.repeat(np.arange(size.classes), size.images))
    for label in labels.tolist():
        sink = io.BytesIO()
        pixels = rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(sink, "JPEG", quality=90)
        yield label, sink.getvalue()


def write_parquet(root: Path, size: Size) -> SourceConfig:
    """Write Parquet files with images in random order."""
    rows = list(photographs(size))
    root.mkdir()
    for number in range(FILES):
        part = rows[number::FILES]
        labels = [label for label, _ in part]
        table = pa.table({"image": [data for _, data in part], "label": labels})
        pq.write_table(table, root / f"train-{number}.parquet", row_group_size=GROUP_ROWS)
    return SourceConfig(path=str(root), kind="parquet")


def write_tars(root: Path, size: Size) -> SourceConfig:
    """Write tar files with images in random order."""
    root.mkdir()
    tars = [tarfile.open(root / f"{number}.tar", "w") for number in range(FILES)]  # noqa: SIM115
    for number, (label, data) in enumerate(photographs(size)):
        members = {"jpg": data, "cls": str(label).encode()}
        for suffix, content in members.items():
            member = tarfile.TarInfo(f"{number:06d}.{suffix}")
            member.size = len(content)
            tars[number % FILES].addfile(member, io.BytesIO(content))
    for tar in tars:
        tar.close()
    return SourceConfig(path=str(root), kind="webdataset")


def write_folder(root: Path, size: Size) -> SourceConfig:
    """Write a folder for each class."""
    for number, (label, data) in enumerate(photographs(size)):
        path = root / f"{label:04d}" / f"{number:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return SourceConfig(path=str(root))


SOURCES: dict[str, Callable[[Path, Size], SourceConfig]] = {
    "parquet": write_parquet,
    "tar": write_tars,
    "folder": write_folder,
}


def bytes_read(work: Callable[[], object]) -> int:
    """Return the bytes that this process reads while it does some work."""
    before = _counter()
    work()
    return _counter() - before


def _counter() -> int:
    lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(COUNTER))


@dataclass
class Read:
    """A count of bytes."""

    bytes: int = 0


@contextmanager
def features_read() -> Iterator[Read]:
    """Count the bytes of features that are read to regroup them: they are not of the source."""
    count = Read()
    whole = Here.regroup

    def counted(here: Here, groups: Sequence[ClassGroup]) -> None:
        before = _counter()
        try:
            whole(here, groups)
        finally:
            count.bytes += _counter() - before

    with patch.object(Here, "regroup", counted):
        yield count


def class_by_class(source: SourceConfig) -> None:
    """Read every image by its location, in the order of the classes."""
    for record in list_images(source):
        read_image_bytes(record.path)


def amplification(root: Path, size: Size) -> dict[str, float]:
    """Return the bytes read for each byte of a source, by extraction and class by class."""
    encoder = make_encoder(root, "test_byobnet", 32)
    here = ExtractionConfig(num_encoders=0)

    def extract(source: SourceConfig) -> None:
        extract_features(f"{source.path}-run", "features", source, encoder, here, "benchmark")

    # Libraries are read once for each process.
    extract(write_folder(root / "warm-up", Size(2, 4)))
    figures: dict[str, float] = {}
    for name, write in SOURCES.items():
        source = write(root / name, size)
        stored = sum(path.stat().st_size for path in (root / name).rglob("*.*"))
        with features_read() as of_features:
            ours = bytes_read(partial(extract, source)) - of_features.bytes
        before = bytes_read(partial(class_by_class, source))
        shutil.rmtree(source.path)
        figures[f"{name}_read_per_byte"] = ours / stored
        figures[f"{name}_features_read_per_byte"] = of_features.bytes / stored
        figures[f"{name}_class_by_class_read_per_byte"] = before / stored
        print(
            f"{name:<10}{ours / stored:>8.3f} x the bytes, class by class {before / stored:.1f} x"
        )
    return figures


def read_back(root: Path) -> dict[str, float]:
    """Time reading one class of ImageNet's size: 1300 images, 2048 features."""
    rng = np.random.default_rng(0)
    store = Store(str(root))
    values = rng.normal(size=(READ_IMAGES, READ_WIDTH)).astype(np.float32)
    sizes = np.ones(READ_IMAGES, np.int32)
    features = ClassFeatures(
        class_name="a",
        class_index=0,
        image_ids=[f"a/{row:06d}" for row in range(READ_IMAGES)],
        features=values,
        logits=None,
        cross_entropy=None,
        entropy=None,
        max_prob=None,
        width=sizes,
        height=sizes,
        sha256=["0" * 64] * READ_IMAGES,
    )
    write_class_features(store, "read", features, fingerprint="benchmark")
    times = []
    for _ in range(READ_REPEATS):
        started = time.perf_counter()
        read_class_features(store, "read", "a")
        times.append(time.perf_counter() - started)
    milliseconds = statistics.median(times) * 1e3
    print(f"read-back of one class, {READ_IMAGES} x {READ_WIDTH}: {milliseconds:.1f} ms")
    return {"read_class_ms": milliseconds}


def main() -> None:
    """Measure, print and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few seconds")
    quick = parser.parse_args().quick
    size = Size(20, 40) if quick else Size(200, 40)
    most = MOST_READ_QUICK if quick else MOST_READ
    with tempfile.TemporaryDirectory() as folder:
        figures = amplification(Path(folder), size) | read_back(Path(folder))
    bounds = {f"{name}_read_per_byte": {"at_most": most} for name in SOURCES}
    bounds["read_class_ms"] = {"at_most": 20.0}
    if not finish("reading", figures, bounds):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
