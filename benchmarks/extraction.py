"""Feature extraction against a plain torch DataLoader loop with the same model, transform and number of processes.

`python -m benchmarks.extraction [--quick]`
"""

import argparse
import resource
import statistics
import tempfile
import threading
import time
from dataclasses import dataclass
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
from otcondense.datasets import SourceConfig, decode_image, list_images, read_image_bytes
from otcondense.encoders import EncoderConfig, load_encoder
from otcondense.store import ClassFeatures, Store, read_class_features, write_class_features
from pipeline.extract import ExtractionConfig, extract_features

CASES = {"decode_bound": ("test_byobnet", 640, 96), "model_bound": ("resnet18", 160, 160)}
"""Model, side of the source images and side of the model's input in pixels, of each case."""
CLASSES = 4
READ_IMAGES, READ_WIDTH = 1300, 2048


@dataclass(frozen=True)
class Size:
    """How much to measure."""

    images: int
    repeats: int
    growth: tuple[int, ...]


class Files(Dataset[torch.Tensor]):
    """The yardstick's data set: one image file at a time, with the encoder's transform."""

    def __init__(self, source: SourceConfig, encoder: EncoderConfig) -> None:
        self.records, self.spec = list_images(source), encoder.input_spec()

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> torch.Tensor:
        data = read_image_bytes(self.records[index].path)
        return self.spec.pixels(decode_image(data, channels=3, max_pixels=10**8))


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
    """Return the seconds that one reader process and one encoding process take with torch alone, the model loaded before."""
    torch.set_num_threads(1)
    model, loader = (
        load_encoder(encoder),
        DataLoader(Files(source, encoder), batch_size=encoder.batch_size, num_workers=1),
    )
    started = time.perf_counter()
    features = [model.encode_inputs(pixels).features.numpy() for pixels in loader]
    np.save(Path(source.path).parent / "features.npy", np.concatenate(features))
    return time.perf_counter() - started


def extract(source: SourceConfig, encoder: EncoderConfig, config: ExtractionConfig) -> float:
    """Return the seconds of an extraction of everything, with the start of its actors and all that it writes."""
    with tempfile.TemporaryDirectory() as run:
        started = time.perf_counter()
        extract_features(run, "features", source, encoder, config, "benchmark")
        return time.perf_counter() - started


def speed(root: Path, size: Size) -> dict[str, float]:
    """Compare images per second on both cases.

    Both sides take one class and then all of them, in turn; the steady rate is that of the images between the two, so that what each side needs once
    (processes, actors, the model) is in neither. The ratio with all of it is given beside it.
    """
    figures: dict[str, float] = {}
    for case, (name, side, width) in CASES.items():
        source, encoder = (
            write_source(root / case, side, size.images),
            make_encoder(root, name, width),
        )
        part = source.model_copy(update={"classes": ("0",)})
        extract(part, encoder, ExtractionConfig())  # Ray keeps what it has imported once
        sides = {
            "plain": plain_loop,
            "here": lambda source, encoder: extract(source, encoder, ExtractionConfig()),
        }
        times: dict[str, list[list[float]]] = {name: [] for name in sides}
        for _ in range(size.repeats):
            for who, take in sides.items():
                times[who].append([take(each, encoder) for each in (part, source)])
        between = size.images * (CLASSES - 1) / CLASSES
        few, whole = (
            {
                name: statistics.median(each[place] for each in taken)
                for name, taken in times.items()
            }
            for place in (0, 1)
        )
        rate = {name: between / (whole[name] - few[name]) for name in sides}
        figures |= {f"{case}_{name}_images_per_s": value for name, value in rate.items()}
        figures |= {
            f"{case}_ratio": rate["here"] / rate["plain"],
            f"{case}_ratio_with_start": whole["plain"] / whole["here"],
        }
        print(
            f"{case:<14}{rate['plain']:>9.1f} images/s plain{rate['here']:>9.1f} here, a start of {few['here'] - few['plain']:.1f} s more"
        )
    return figures


def memory(root: Path, size: Size) -> dict[str, float]:
    """Print the largest memory of this process as the number of images grows, without a cluster; classes grow in number, not in size."""
    encoder, rows = make_encoder(root, "test_byobnet", 64), []
    for count in size.growth:
        source = write_source(root / f"memory_{count}", 96, count)
        peak = _Peak()
        with peak:
            extract(source, encoder, ExtractionConfig(num_encoders=0))
        rows.append(peak.mebibytes)
        print(f"{count:>8} images{peak.mebibytes:>9.0f} MiB")
    return {"memory_growth_MiB": rows[-1] - rows[0], "memory_MiB": rows[-1]}


class _Peak:
    """The largest resident memory of this process within a `with` block, looked at every 20 ms."""

    def __init__(self) -> None:
        self.mebibytes, self._stop = 0.0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        while not self._stop.wait(0.02):
            pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
            self.mebibytes = max(self.mebibytes, pages * resource.getpagesize() / 2**20)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def read_back(root: Path) -> dict[str, float]:
    """Time reading one class of ImageNet's size: 1300 images, 2048 features."""
    rng, store = np.random.default_rng(0), Store(str(root))
    values = rng.normal(size=(READ_IMAGES, READ_WIDTH)).astype(np.float32)
    ids, sizes, hashes = (
        [f"a/{row:06d}" for row in range(READ_IMAGES)],
        np.ones(READ_IMAGES, np.int32),
        ["0" * 64] * READ_IMAGES,
    )
    features = ClassFeatures("a", 0, ids, values, None, None, None, None, sizes, sizes, hashes)
    write_class_features(store, "read", features, fingerprint="benchmark")
    times = []
    for _ in range(20):
        started = time.perf_counter()
        read_class_features(store, "read", "a")
        times.append(time.perf_counter() - started)
    print(
        f"read-back of one class, {READ_IMAGES} x {READ_WIDTH}: {statistics.median(times) * 1e3:.1f} ms"
    )
    return {"read_class_ms": statistics.median(times) * 1e3}


def gpu(size: Size) -> dict[str, float]:
    """Return the share of time in which the GPU works as the encoder loop, without Ray, takes pinned 8-bit batches."""
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
