"""From image files to a network's input: timm's transform with PIL against the one in use.

CPU time of one thread, by turns in one run; the differences in pixels and features; and what
decoding JPEG files at a fraction of their size would give.

`python -m benchmarks.decoding [--quick]`
"""

import argparse
import io
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
import timm
import torch
from PIL import Image
from timm.data.transforms_factory import create_transform
from torch import Tensor
from torch.nn.functional import cosine_similarity, interpolate

from benchmarks.harness import Bounds, finish
from otcondense.datasets import decode_image
from otcondense.datasets.decoding import opened
from otcondense.datasets.fast_decoding import as_tensor, image_pixels, jpeg_operator
from otcondense.encoders import InputSpec

NETWORKS = ("inception_v3.tv_in1k", "resnet50.tv_in1k")
"""The first gives the timings. With random weights: pretrained ones may not be at hand."""
SIZES = {"500x375": (500, 375), "1280x960": (1280, 960)}
"""ImageNet's usual size, and that of a small photograph."""
TEXTURE = 8
"""Deviation of the noise on enlarged photographs, which would have no fine detail without it."""
MOST_PIXELS = 10**8
CROPS = 24
"""Parts of the sample photographs, whose features are compared."""
BOUNDS: Bounds = {
    "cpu_ratio_500x375": {"at_least": 1.5},
    "cpu_ratio_1280x960": {"at_least": 1.6},
    "bare_ratio_500x375": {"at_least": 0.7},
    "bare_ratio_1280x960": {"at_least": 0.8},
    "pixel_difference_max": {"at_most": 2},
    "pixel_difference_mean": {"at_most": 0.02},
    "feature_shift": {"at_most": 0.01},
}

Side = Callable[[], object]


@dataclass(frozen=True)
class Sample:
    """One JPEG file and the ways from its bytes to the network's input."""

    data: bytes
    spec: InputSpec

    def old(self) -> Tensor:
        """Return timm's own input."""
        image = decode_image(self.data, channels=3, max_pixels=MOST_PIXELS)
        pixels: Tensor = timm_transform(self.spec)(image)
        return pixels

    def new(self) -> Tensor:
        return self.spec.read(self.data, max_pixels=MOST_PIXELS).pixels

    def bare(self) -> Tensor:
        """Return the input by torchvision and torch alone: no check, no header, no fallback."""
        decode = jpeg_operator("decode_jpeg")
        assert decode is not None, "this torchvision has no JPEG decoder"
        pixels = decode(as_tensor(self.data), 3)[None]
        short = int(self.spec.height / self.spec.crop_pct)
        height, width = pixels.shape[2:]
        size = (short, short * width // height)
        scaled = interpolate(pixels, size=size, mode=self.spec.interpolation, antialias=True)[0]
        top, left = (size[0] - self.spec.height) // 2, (size[1] - self.spec.width) // 2
        return scaled[:, top : top + self.spec.height, left : left + self.spec.width].contiguous()

    def scaled(self, reserve: int) -> Tensor:
        """Return the input from a JPEG decoded at 1/2, 1/4 or 1/8 of its size, where that fits.

        It stays `reserve` times as large as the resized image.
        """
        short = reserve * int(self.spec.height / self.spec.crop_pct)
        with opened(self.data, MOST_PIXELS) as image:
            image.draft(None, (short, short))
            image.load()
            return self.spec.fit(image_pixels(image))


@cache
def timm_transform(spec: InputSpec) -> Callable[[Image.Image], Any]:
    """Return timm's evaluation transform without the normalisation."""
    transform: Callable[[Image.Image], Any] = create_transform(
        (spec.channels, spec.height, spec.width),
        interpolation=spec.interpolation,
        crop_pct=spec.crop_pct,
        crop_mode=spec.crop_mode,
        normalize=False,
    )
    return transform


def photographs() -> list[Image.Image]:
    """Return scikit-learn's two sample photographs, 640 x 427 pixels."""
    files = sorted((Path(sklearn.__file__).parent / "datasets" / "images").glob("*.jpg"))
    return [Image.open(file).convert("RGB") for file in files]


def jpeg(image: Image.Image, size: tuple[int, int]) -> bytes:
    """Return a JPEG file of a photograph in another size."""
    scaled = image.resize(size, Image.Resampling.LANCZOS)
    if size > image.size:
        noise = np.random.default_rng(0).normal(0, TEXTURE, (*size[::-1], 1))
        textured = (np.asarray(scaled) + noise).clip(0, 255).astype(np.uint8)
        scaled = Image.fromarray(textured)
    sink = io.BytesIO()
    scaled.save(sink, "JPEG", quality=90)
    return sink.getvalue()


def cpu_ms(sides: dict[str, Side], repeats: int) -> dict[str, float]:
    """Return the median CPU time of each side in one thread; the sides are measured by turns."""
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, side in sides.items():
            started = time.thread_time()
            side()
            taken[name].append(1000 * (time.thread_time() - started))
    return {name: statistics.median(times) for name, times in taken.items()}


def thread_ratio(side: Side, repeats: int) -> float:
    """Return how many times as many images two threads make as one, in the same time."""

    def work() -> None:
        for _ in range(repeats):
            side()

    def seconds(count: int) -> float:
        started = time.perf_counter()
        with ThreadPoolExecutor(count) as pool:
            list(pool.map(lambda _: work(), range(count)))
        return time.perf_counter() - started

    return statistics.median(2 * seconds(1) / seconds(2) for _ in range(5))


def time_size(sample: Sample, name: str, repeats: int) -> dict[str, float]:
    """Return the figures of time of one size of image."""
    sides: dict[str, Side] = {"old": sample.old, "new": sample.new, "bare": sample.bare}
    cpu_ms(sides, 3)  # warms up
    times = cpu_ms(sides, repeats)
    return {
        f"old_cpu_ms_{name}": times["old"],
        f"new_cpu_ms_{name}": times["new"],
        f"cpu_ratio_{name}": times["old"] / times["new"],
        f"bare_ratio_{name}": times["bare"] / times["new"],
        f"two_threads_ratio_{name}": thread_ratio(sample.new, repeats // 2),
    }


def compare_pixels(samples: list[Sample]) -> dict[str, float]:
    """Return the largest and the mean difference of the two transforms, in levels of 255."""
    found = torch.stack([(sample.old().int() - sample.new()).abs() for sample in samples])
    return {
        "pixel_difference_max": float(found.max()),
        "pixel_difference_mean": float(found.float().mean()),
    }


def compare_features(name: str, data: list[bytes]) -> dict[str, float]:
    """Return how far the features of a network move, by the mean distance of two images.

    The cosine is between the features of one image less the mean over all images.
    """
    spec = InputSpec.of_model(name, image_size=None, channels=3, crop_pct=None)
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=0).eval()
    samples = [Sample(each, spec) for each in data]
    with torch.inference_mode():
        old = model(spec.normalize(torch.stack([sample.old() for sample in samples])))
        new = model(spec.normalize(torch.stack([sample.new() for sample in samples])))
    apart = torch.pdist(old).mean()
    cosines = cosine_similarity(old - old.mean(0), new - old.mean(0))
    return {
        "feature_shift": float((new - old).norm(dim=1).max() / apart),
        "feature_cosine": float(cosines.min()),
    }


def crops() -> list[bytes]:
    """Return JPEG files of parts of the photographs, each of another place and size."""
    rng = np.random.default_rng(1)
    files = []
    for number in range(CROPS):
        image = photographs()[number % 2]
        side = int(rng.integers(250, 420))
        left = int(rng.integers(0, image.width - side))
        top = int(rng.integers(0, image.height - side))
        part = image.crop((left, top, left + side, top + side))
        files.append(jpeg(part, (side, side)))
    return files


def scaled_figures(sample: Sample, repeats: int) -> dict[str, float]:
    """Return what decoding at a fraction of the size saves and changes, with a reserve of 1 and 2.

    The image is of 3000 x 2250 pixels: smaller ones are decoded whole with a reserve of 2.
    """
    figures = {}
    whole = sample.new().int()
    for reserve in (1, 2):
        sides: dict[str, Side] = {"whole": sample.new, "scaled": partial(sample.scaled, reserve)}
        times = cpu_ms(sides, repeats)
        found = (sample.scaled(reserve).int() - whole).abs()
        figures[f"scaled_{reserve}_cpu_ratio"] = times["whole"] / times["scaled"]
        figures[f"scaled_{reserve}_difference_max"] = float(found.max())
        figures[f"scaled_{reserve}_difference_mean"] = float(found.float().mean())
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    repeats = 20 if parser.parse_args().quick else 100
    torch.set_num_threads(1)
    spec = InputSpec.of_model(NETWORKS[0], image_size=None, channels=3, crop_pct=None)
    figures: dict[str, float] = {}
    for name, size in SIZES.items():
        figures |= time_size(Sample(jpeg(photographs()[0], size), spec), name, repeats)
    files = [
        *crops(),
        *(jpeg(image, size) for image in photographs() for size in SIZES.values()),
    ]
    figures |= compare_pixels([Sample(data, spec) for data in files])
    figures |= scaled_figures(Sample(jpeg(photographs()[0], (3000, 2250)), spec), repeats // 5)
    for network in NETWORKS:
        for key, value in compare_features(network, files).items():
            worse = max if key == "feature_shift" else min
            figures[key] = worse(value, figures.get(key, value))
    print("\n".join(f"{name:32} {value:.6g}" for name, value in figures.items()))
    if not finish("decoding", figures, BOUNDS):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
