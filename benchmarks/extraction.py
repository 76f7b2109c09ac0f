"""Feature extraction against a plain torch DataLoader loop.

Both have the same model, transform and number of processes.

`python -m benchmarks.extraction [--quick]`
"""

import argparse
import resource
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import ray
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from torch.utils.data import DataLoader, Dataset

from benchmarks.harness import finish
from jobs.cluster.start import start_ray
from otcondense.datasets import SourceConfig, list_images, read_image_bytes
from otcondense.encoders import EncoderConfig, load_encoder
from otcondense.store import ClassFeatures, Store, read_class_features, write_class_features
from pipeline.extract import extract_features
from pipeline.extraction_config import ExtractionConfig

CASES = {"decode_bound": ("test_byobnet", 640, 96), "model_bound": ("resnet18", 160, 160)}
"""Model, side of the source images and side of the model's input in pixels, of each case."""
CLASSES = 4
READ_IMAGES = 1300
"""Images of the largest class of ImageNet."""
READ_WIDTH = 2048
"""Features of a ResNet-50."""
READ_REPEATS = 20
POLL_S = 0.02
"""Seconds between two looks at the memory of this process."""


@dataclass(frozen=True)
class Size:
    """Amount of work to measure."""

    images: int
    repeats: int
    growth: tuple[int, ...]


class Files(Dataset[torch.Tensor]):
    """The data set of the plain loop: one image file at a time, with the encoder's transform."""

    def __init__(self, source: SourceConfig, encoder: EncoderConfig) -> None:
        self.records = list_images(source)
        self.spec = encoder.input_spec()

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> torch.Tensor:
        data = read_image_bytes(self.records[index].path)
        return self.spec.read(data, max_pixels=10**8).pixels


def write_source(root: Path, side: int, count: int) -> SourceConfig:
    """Write JPEG images of smooth noise, `count` in all."""
    rng = np.random.default_rng(0)
    for number in range(count):
        path = root / f"{number % CLASSES}" / f"{number:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        small = Image.fromarray(rng.integers(0, 256, (side // 8, side // 8, 3), dtype=np.uint8))
        small.resize((side, side), Image.Resampling.BICUBIC).save(path, quality=90)
    return SourceConfig(path=str(root))


def make_encoder(root: Path, name: str, size: int) -> EncoderConfig:
    """Save random weights of a model and return its configuration."""
    torch.manual_seed(0)
    path = root / f"{name}.safetensors"
    save_file(timm.create_model(name, num_classes=0).state_dict(), path)
    return EncoderConfig(
        name=name, weights=str(path), image_size=size, num_classes=0, batch_size=32, device="cpu"
    )


def plain_loop(source: SourceConfig, encoder: EncoderConfig) -> float:
    """Return the seconds of one reader process and one encoding process with torch alone.

    Loading the model is not included.
    """
    torch.set_num_threads(1)
    model = load_encoder(encoder)
    loader = DataLoader(Files(source, encoder), batch_size=encoder.batch_size, num_workers=1)
    started = time.perf_counter()
    features = [model.encode_inputs(pixels).features.numpy() for pixels in loader]
    np.save(Path(source.path).parent / "features.npy", np.concatenate(features))
    return time.perf_counter() - started


def extract(source: SourceConfig, encoder: EncoderConfig, config: ExtractionConfig) -> float:
    """Return the seconds of an extraction, including starting actors and writing files."""
    with tempfile.TemporaryDirectory() as run:
        started = time.perf_counter()
        extract_features(run, "features", source, encoder, config, "benchmark")
        return time.perf_counter() - started


@dataclass(frozen=True)
class Times:
    """Seconds of one side."""

    few: float
    """For one class."""
    all: float
    """For all classes."""


Side = Callable[[SourceConfig], float]
"""Takes a source, returns the seconds of its extraction."""


def median_times(sides: dict[str, Side], source: SourceConfig, repeats: int) -> dict[str, Times]:
    """Return the median seconds of each side; the sides are measured in turn."""
    part = source.model_copy(update={"classes": ("0",)})
    few: dict[str, list[float]] = {name: [] for name in sides}
    everything: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, take in sides.items():
            few[name].append(take(part))
            everything[name].append(take(source))
    return {
        name: Times(statistics.median(few[name]), statistics.median(everything[name]))
        for name in sides
    }


def speed(root: Path, size: Size) -> dict[str, float]:
    """Compare images per second on both cases.

    Each side takes one class and then all classes. The steady rate is that of the images between
    the two, without the time that each side needs once (processes, actors, the model). The ratio
    with this time is returned too.
    """
    figures: dict[str, float] = {}
    for case, (name, side, width) in CASES.items():
        source = write_source(root / case, side, size.images)
        encoder = make_encoder(root, name, width)
        part = source.model_copy(update={"classes": ("0",)})
        extract(part, encoder, ExtractionConfig())  # Ray keeps its imports for later calls
        sides: dict[str, Side] = {
            "plain": partial(plain_loop, encoder=encoder),
            "here": partial(extract, encoder=encoder, config=ExtractionConfig()),
        }
        times = median_times(sides, source, size.repeats)
        figures |= compare(case, times["plain"], times["here"], size)
    return figures


def compare(case: str, plain: Times, here: Times, size: Size) -> dict[str, float]:
    """Print and return the figures of one case."""
    between = size.images * (CLASSES - 1) / CLASSES
    plain_rate = between / (plain.all - plain.few)
    here_rate = between / (here.all - here.few)
    print(
        f"{case:<14}{plain_rate:>9.1f} images/s plain{here_rate:>9.1f} here, "
        f"a start of {here.few - plain.few:.1f} s more"
    )
    return {
        f"{case}_plain_images_per_s": plain_rate,
        f"{case}_here_images_per_s": here_rate,
        f"{case}_ratio": here_rate / plain_rate,
        f"{case}_ratio_with_start": plain.all / here.all,
    }


def memory(root: Path, size: Size) -> dict[str, float]:
    """Print the largest memory of this process as the number of images grows, without a cluster."""
    encoder = make_encoder(root, "test_byobnet", 64)
    peaks = []
    for count in size.growth:
        source = write_source(root / f"memory_{count}", 96, count)
        peak = _Peak()
        with peak:
            extract(source, encoder, ExtractionConfig(num_encoders=0))
        peaks.append(peak.mebibytes)
        print(f"{count:>8} images{peak.mebibytes:>9.0f} MiB")
    return {"memory_growth_MiB": peaks[-1] - peaks[0], "memory_MiB": peaks[-1]}


class _Peak:
    """The largest resident memory of this process within a `with` block."""

    def __init__(self) -> None:
        self.mebibytes = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        while not self._stop.wait(POLL_S):
            pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
            self.mebibytes = max(self.mebibytes, pages * resource.getpagesize() / 2**20)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


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


def gpu(size: Size) -> dict[str, float]:
    """Return the share of time in which the GPU works, and its images per second.

    The encoder takes pinned 8-bit batches in a loop, without Ray.
    """
    model = load_encoder_on_gpu()
    batches = [
        torch.randint(0, 256, (128, 3, 224, 224), dtype=torch.uint8).pin_memory() for _ in range(4)
    ]
    events = [
        (torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True))
        for _ in range(10 * size.repeats)
    ]
    for batch in batches:
        model.encode_inputs(batch)
    torch.cuda.synchronize()
    started = time.perf_counter()
    for number, (first, last) in enumerate(events):
        first.record()
        features = model.encode_inputs(batches[number % 4]).features
        last.record()
        features.cpu()
    seconds = time.perf_counter() - started
    busy = sum(first.elapsed_time(last) for first, last in events) / 1e3
    return {"gpu_busy_share": busy / seconds, "gpu_images_per_s": len(events) * 128 / seconds}


def load_encoder_on_gpu() -> Any:
    """Return a DINOv2 ViT-B/14 with random weights on the GPU."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vit.safetensors"
        save_file(
            timm.create_model("vit_base_patch14_dinov2", num_classes=0, img_size=224).state_dict(),
            path,
        )
        return load_encoder(
            EncoderConfig(
                name="vit_base_patch14_dinov2",
                weights=str(path),
                image_size=224,
                num_classes=0,
                device="cuda",
                batch_size=128,
            )
        )


def main() -> None:
    """Measure, print and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="under a minute; the figures are rough"
    )
    quick = parser.parse_args().quick
    size = Size(192, 1, (40, 400)) if quick else Size(1024, 3, (200, 600, 2000))
    bounds = {"read_class_ms": {"at_most": 20.0}, "memory_growth_MiB": {"at_most": 64.0}}
    bounds |= {} if quick else {f"{case}_ratio": {"at_least": 0.9} for case in CASES}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        figures = read_back(root) | memory(root, size)
        start_ray(num_cpus=2)
        figures |= speed(root, size)
        ray.shutdown()  # type: ignore[no-untyped-call]
    if torch.cuda.is_available():
        figures |= gpu(size)
        bounds["gpu_busy_share"] = {"at_least": 0.85}
    if not finish("extraction", figures, bounds):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
