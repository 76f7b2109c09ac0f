"""Feature extraction against a plain torch DataLoader loop, and the memory of the driver.

Both have the same model, transform and number of processes, and both start from nothing: Ray is
started by the measured command, and so are the loader's processes.

`python -m benchmarks.extraction [--quick]`
"""

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import ray
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from benchmarks.harness import finish
from benchmarks.memory import Peak
from benchmarks.networks import make_encoder
from jobs.cluster.start import start_ray
from otcondense.datasets import SourceConfig, list_images, read_image_bytes
from otcondense.encoders import EncoderConfig, load_encoder
from pipeline.extract import extract_features
from pipeline.extraction_config import ExtractionConfig

CASES = {"decode_bound": ("test_byobnet", 480, 96), "model_bound": ("resnet18", 160, 160)}
"""Model, side of the source images and side of the model's input in pixels, of each case."""
CLASSES = 8
MANY_CLASSES = 1000
SMALL_SIDE = 48
"""Side in pixels of the images in the largest source."""
PIXEL_LIMIT = 10**8
SIDES = ("plain", "here")


@dataclass(frozen=True)
class Size:
    """Amount of work to measure."""

    images: dict[str, int]
    """Of each case."""
    growth: tuple[int, int]
    """Images of the two sources between which the memory of the driver may grow."""


FULL = Size({"decode_bound": 20_000, "model_bound": 2_000}, (10_000, 100_000))
QUICK = Size({"decode_bound": 400, "model_bound": 100}, (400, 2_000))


class Files(Dataset[torch.Tensor]):
    """The data set of the plain loop: one image file at a time, with the encoder's transform."""

    def __init__(self, source: SourceConfig, encoder: EncoderConfig) -> None:
        self.paths = [record.path for record in list_images(source)]
        self.spec = encoder.input_spec()

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> torch.Tensor:
        data = read_image_bytes(self.paths[index])
        return self.spec.read(data, max_pixels=PIXEL_LIMIT).pixels


def write_source(root: Path, side: int, count: int, classes: int) -> SourceConfig:
    """Write `count` JPEG files, all of a few images of smooth noise."""
    rng = np.random.default_rng(0)
    pictures = []
    for number in range(min(count, 64)):
        small = Image.fromarray(rng.integers(0, 256, (side // 8, side // 8, 3), dtype=np.uint8))
        path = root / f"{number}.jpg"
        root.mkdir(parents=True, exist_ok=True)
        small.resize((side, side), Image.Resampling.BICUBIC).save(path, quality=90)
        pictures.append(path.read_bytes())
        path.unlink()
    for number in range(count):
        path = root / f"{number % classes:04d}" / f"{number:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pictures[number % len(pictures)])
    return SourceConfig(path=str(root))


def plain_loop(source: SourceConfig, encoder: EncoderConfig) -> None:
    """Extract with one reader process and one encoding process, with torch alone."""
    torch.set_num_threads(1)
    model = load_encoder(encoder)
    loader = DataLoader(Files(source, encoder), batch_size=encoder.batch_size, num_workers=1)
    features = [model.encode_inputs(pixels).features.numpy() for pixels in loader]
    np.save(Path(source.path).parent / "features.npy", np.concatenate(features))


def extraction(source: SourceConfig, encoder: EncoderConfig) -> None:
    """Extract with Ray on this machine."""
    start_ray(num_cpus=2)
    with tempfile.TemporaryDirectory() as run:
        extract_features(run, "features", source, encoder, ExtractionConfig(), "benchmark")


def seconds(side: str, root: Path, case: str) -> float:
    """Return the seconds of one side in a process of its own, its start included."""
    command = [sys.executable, "-m", "benchmarks.extraction", "--side", side]
    started = time.perf_counter()
    subprocess.run([*command, "--root", str(root), "--case", case], check=True)
    return time.perf_counter() - started


def speed(root: Path, size: Size) -> dict[str, float]:
    """Compare images per second on both cases."""
    figures: dict[str, float] = {}
    for case, (name, side, width) in CASES.items():
        count = size.images[case]
        write_source(root / case / "images", side, count, CLASSES)
        make_encoder(root / case, name, width)
        taken = {each: seconds(each, root, case) for each in SIDES}
        for each in SIDES:
            figures[f"{case}_{each}_images_per_s"] = count / taken[each]
        figures[f"{case}_ratio_with_start"] = taken["plain"] / taken["here"]
        print(
            f"{case:<14}{count / taken['plain']:>9.1f} images/s plain"
            f"{count / taken['here']:>9.1f} here, start included"
        )
    return figures


def one_side(side: str, root: Path, case: str) -> None:
    """Run one side of a case whose images are written."""
    name, _, width = CASES[case]
    encoder = make_encoder(root / case, name, width)
    work = plain_loop if side == "plain" else extraction
    work(SourceConfig(path=str(root / case / "images")), encoder)


def driver(root: Path, size: Size) -> dict[str, float]:
    """Return the memory of the driver as the source grows, and the time to recognise features."""
    encoder = make_encoder(root, "test_byobnet", 32)
    start_ray(num_cpus=2)
    peaks = []
    figures: dict[str, float] = {}
    for count in size.growth:
        source = write_source(root / f"growth_{count}", SMALL_SIDE, count, MANY_CLASSES)
        run = str(root / f"run_{count}")
        with Peak() as peak:
            extract_features(run, "features", source, encoder, ExtractionConfig(), "benchmark")
        peaks.append(peak.mebibytes)
        print(f"{count:>8} images{peak.mebibytes:>9.0f} MiB in the driver")
        started = time.perf_counter()
        extract_features(run, "features", source, encoder, ExtractionConfig(), "benchmark")
        figures["recognise_s"] = time.perf_counter() - started
    print(
        f"finished features of {MANY_CLASSES} classes recognised in {figures['recognise_s']:.1f} s"
    )
    ray.shutdown()
    return figures | {"driver_growth_MiB": peaks[-1] - peaks[0], "driver_MiB": peaks[-1]}


def main() -> None:
    """Measure, print and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under a minute; rough figures")
    parser.add_argument("--side", choices=SIDES, help="run one side; used by the benchmark itself")
    parser.add_argument("--root", type=Path)
    parser.add_argument("--case", choices=tuple(CASES))
    options = parser.parse_args()
    if options.side:
        one_side(options.side, options.root, options.case)
        return

    bounds = {"driver_growth_MiB": {"at_most": 64.0}}
    if not options.quick:
        bounds |= {f"{case}_ratio_with_start": {"at_least": 0.9} for case in CASES}
        bounds["recognise_s"] = {"at_most": 5.0}
    with tempfile.TemporaryDirectory() as folder:
        size = QUICK if options.quick else FULL
        figures = driver(Path(folder), size) | speed(Path(folder), size)
    if not finish("extraction", figures, bounds):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
