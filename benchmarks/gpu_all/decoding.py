"""From JPEG files to the input of an encoder: PIL, torchvision on the CPU, nvJPEG on the GPU."""

import io
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from benchmarks.gpu_all.cases import Case, Figures, Setting, finish_work
from otcondense.encoders import EncoderConfig

IMAGES = 512
"""Files that are decoded."""
BATCH = 64
"""Files in one call of nvJPEG."""
DIFFERENT = 32
"""Different files: each is decoded several times."""
HEIGHT, WIDTH = 375, 500
"""The usual size of ImageNet's images."""
QUALITY = 95
"""Quality of the files: about 100 kB, as ImageNet's."""
TARGET = 299
"""Side of the encoder's input."""
SHORT_SIDE = 342
"""Side after resizing: timm's for Inception."""


def jpeg_files(setting: Setting) -> list[bytes]:
    """Return files of smooth random images with some noise."""
    generator = torch.Generator().manual_seed(0)
    files = []
    for _ in range(setting.size(DIFFERENT, 2)):
        coarse = torch.rand(1, 3, HEIGHT // 12, WIDTH // 12, generator=generator)
        smooth = functional.interpolate(coarse, (HEIGHT, WIDTH), mode="bicubic")[0]
        noisy = smooth + 0.05 * torch.randn(smooth.shape, generator=generator)
        pixels = (noisy.clamp(0, 1) * 255).byte().permute(1, 2, 0).numpy()
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "JPEG", quality=QUALITY)
        files.append(buffer.getvalue())
    return [files[number % len(files)] for number in range(setting.size(IMAGES, 4))]


def as_tensor(file: bytes) -> Tensor:
    """Return the bytes of a file as torchvision reads them."""
    return torch.from_numpy(np.frombuffer(file, np.uint8).copy())


def resized(images: Tensor) -> Tensor:
    """Resize the short side and cut the centre out, in 8 bits."""
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms.v2.functional import center_crop, resize

    smaller = resize(images, [SHORT_SIDE], InterpolationMode.BICUBIC, antialias=True)
    cropped: Tensor = center_crop(smaller, [TARGET, TARGET])
    return cropped


def on_cpu(setting: Setting, files: list[bytes], decode: Callable[[bytes], object]) -> Figures:
    """Return the CPU time of an image in one thread, and the images a second of all cores."""
    torch.set_num_threads(1)
    for file in files[:4]:
        decode(file)
    few = files[: setting.size(64, 2)]
    started = time.process_time()
    for file in few:
        decode(file)
    cpu = (time.process_time() - started) / len(few)
    cores = len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(cores) as pool:
        started = time.perf_counter()
        list(pool.map(decode, files))
        seconds = time.perf_counter() - started
    return {"cpu_ms_per_image": 1e3 * cpu, f"images_per_s_{cores}_cores": len(files) / seconds}


def with_pil(setting: Setting) -> Figures:
    """Measure PIL and timm's transform, as `InputSpec.pixels` does."""
    spec = EncoderConfig(name="inception-v3").input_spec()
    files = jpeg_files(setting)

    def decode(file: bytes) -> object:
        return spec.pixels(Image.open(io.BytesIO(file)).convert("RGB"))

    figures = on_cpu(setting, files, decode)
    return {"kilobytes": sum(map(len, files)) / len(files) / 1e3, **figures}


def with_torchvision(setting: Setting) -> Figures:
    """Measure torchvision's decoder and its antialiased resize of bytes, on the CPU."""
    from torchvision.io import ImageReadMode, decode_jpeg

    def decode(file: bytes) -> object:
        return resized(decode_jpeg(as_tensor(file), ImageReadMode.RGB))

    return on_cpu(setting, jpeg_files(setting), decode)


def with_nvjpeg(setting: Setting, *, resize: bool) -> Figures:
    """Measure nvJPEG by batches, with or without the resize on the GPU.

    In a rehearsal the CPU decodes.
    """
    from torchvision.io import ImageReadMode, decode_jpeg

    files = [as_tensor(file) for file in jpeg_files(setting)]
    size = setting.size(BATCH, 2)

    def decode_all() -> None:
        for first in range(0, len(files), size):
            found = decode_jpeg(files[first : first + size], ImageReadMode.RGB, setting.device)
            images = torch.stack(found)
            if resize:
                resized(images)
        finish_work(setting.device)

    decode_all()
    started, cpu_started = time.perf_counter(), time.process_time()
    decode_all()
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu_started
    return {"cpu_ms_per_image": 1e3 * cpu / len(files), "images_per_s": len(files) / seconds}


def cases() -> list[Case]:
    """Return the cases, those on the GPU first."""
    return [
        Case("nvjpeg_and_resize", 8, partial(with_nvjpeg, resize=True)),
        Case("nvjpeg", 5, partial(with_nvjpeg, resize=False)),
        Case("torchvision", 5, with_torchvision),
        Case("pil_and_timm", 8, with_pil),
    ]
