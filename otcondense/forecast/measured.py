"""Figures of committed benchmarks that the forecast computes with.

`tests/unit/forecast/test_measured.py` compares each with its file in `benchmarks/results`.
"""

from typing import NamedTuple

GPU_RESULTS = "gpu_all-nvidia-h100-80gb-hbm3"
"""One H100 with 16 cores."""
CPU_RESULTS = "intel-r-xeon-r-processor-2-cores"
METRICS_RESULTS = "evaluation-amd-epyc-2-cores"
CPU_CORES = 2
"""Cores of the machines of the last two."""

STEP_SECONDS = 0.16318983664999962
"""A training step of DiT-L/2 at 256 pixels: 128 images, bfloat16, compiled blocks."""
STEP_IMAGES = 128
EAGER_STEP_SECONDS = 0.2630405353571429
"""The same without compiled blocks."""
SAMPLED_IMAGES_PER_S = 5.250433814081544
"""Images of SiT-L/2 at 256 pixels a second: 250 steps with guidance, 128 at a time."""
SAMPLED_STEPS = 250
MATRIX_TFLOPS = 795.8339620382627
"""Large products of matrices in bfloat16, in TFLOP/s."""
TF32_TFLOPS = 395.3436552746444
"""The same in float32 with factors rounded to TF32."""
FLOAT32_TFLOPS = 51.598928905603444
"""The same in float32 without TF32."""
MEMORY_GB_PER_S = 3027.5233368225213
"""Bytes read and written by a copy within the device."""
HOST_COPY_GB_PER_S = 54.97325650381017
"""A copy from pinned memory of the host; the way back is taken to be as fast."""
INCEPTION_IMAGES_PER_S = 3717.443558416981
"""Inception-v3 from bytes on the host, float32 with convolutions in TF32 (torch's default)."""
INCEPTION_BFLOAT16_IMAGES_PER_S = 5565.888513436565
DINO_BFLOAT16_IMAGES_PER_S = 2329.0135391794497
"""DINOv2-L/14 at 224 pixels from bytes on the host."""
NVJPEG_IMAGES_PER_S = 12729.81353657987
"""JPEG files of 131 kB decoded and resized on the GPU."""
DECODED_IMAGES_PER_S = 1803.3830176276233
"""JPEG files of 131 kB decoded and resized by 16 threads of one process."""
DECODE_CORES = 16
DECODE_CPU_SECONDS = 0.0029723822968749927
"""CPU time of one of these files in one thread."""
METRICS_SECONDS = (
    0.07495834300004844,
    0.8283109060000129,
    0.8510636539999723,
    0.6016481510000062,
)
"""Fréchet and kernel distance, precision and recall, density and coverage of 50,000 on the H100."""
METRICS_IMAGES = 50_000
CPU_METRICS_SECONDS = (16.838974080999833, 288.74813862800056, 213.1043216349999)
"""Fréchet distance, precision and recall, density and coverage of 50,000 on two cores."""

SELECTION_SECONDS = {10: 0.564670531000047, 50: 5.200987990000613, 100: 11.307932898000217}
"""Search for so many of 1,300 images, on two cores."""
BOUND_SECONDS = 2.8157563630002187
"""The lower bound of a class of 1,300 images, on two cores; the slowest of the three."""
SELECTION_IMAGES = 1300
BASELINE_SECONDS: dict[str, dict[int, float]] = {
    "k_medoids": {10: 0.9, 30: 1.2, 100: 1.2},
    "uniprot": {10: 1.4, 30: 3.7, 100: 3.8},
    "zcore": {10: 2.3},
}
"""CPU seconds of the slower baselines for so many of 1,000 images with 1,280 features of a network.

By no benchmark: measured on one core of a busy machine, which makes them rather too long. The time
of zcore does not depend on the budget.
"""
BASELINE_IMAGES = 1000
READ_CLASS_SECONDS = 0.019897499500075355
"""Features of one class of 1,300 images read from a file."""
READ_CLASS_WIDTH = 2048
"""Features of each of these images."""
SPLIT_SECONDS = 4.7e-7
"""CPU seconds for each image and centre of a grouping.

By no benchmark: 131,072 images with 256 features and 132 centres took 8.1 s of one core of a busy
machine, which makes it rather too long; with 64 features they took 7.7 s.
"""


class Source(NamedTuple):
    """Where a figure was measured: value = unit x figure."""

    value: float
    results: str
    figure: str
    unit: float = 1.0


_TRAINING = "training/DiT-L/2_256_batch_128_compiled_bfloat16"
_SAMPLING = "sampling/SiT-L/2_256_batch_128_compiled_guided"
_METRICS = ("frechet", "kernel", "precision_recall", "density_coverage")
_CPU_METRICS = ("fid", "precision_recall", "density_coverage")
_DINO = "encoders/dinov2-l14_bfloat16/from_host_images_per_s"
_INCEPTION = "encoders/inception-v3"

SOURCES: tuple[Source, ...] = (
    Source(STEP_SECONDS, GPU_RESULTS, f"{_TRAINING}/ms_per_step", 1e-3),
    Source(
        EAGER_STEP_SECONDS,
        GPU_RESULTS,
        "training/DiT-L/2_256_batch_128_eager_bfloat16/ms_per_step",
        1e-3,
    ),
    Source(SAMPLED_IMAGES_PER_S, GPU_RESULTS, f"{_SAMPLING}/images_per_s_at_250_steps"),
    Source(MATRIX_TFLOPS, GPU_RESULTS, "ceilings/bfloat16/TFLOP_per_s"),
    Source(TF32_TFLOPS, GPU_RESULTS, "ceilings/tf32/TFLOP_per_s"),
    Source(FLOAT32_TFLOPS, GPU_RESULTS, "ceilings/float32/TFLOP_per_s"),
    Source(MEMORY_GB_PER_S, GPU_RESULTS, "ceilings/copy_within/GB_per_s"),
    Source(HOST_COPY_GB_PER_S, GPU_RESULTS, "ceilings/copy_from_pinned_host/GB_per_s"),
    Source(INCEPTION_IMAGES_PER_S, GPU_RESULTS, f"{_INCEPTION}_default/from_host_images_per_s"),
    Source(
        INCEPTION_BFLOAT16_IMAGES_PER_S,
        GPU_RESULTS,
        f"{_INCEPTION}_bfloat16/from_host_images_per_s",
    ),
    Source(DINO_BFLOAT16_IMAGES_PER_S, GPU_RESULTS, _DINO),
    Source(NVJPEG_IMAGES_PER_S, GPU_RESULTS, "decoding/nvjpeg_and_resize/images_per_s"),
    Source(DECODED_IMAGES_PER_S, GPU_RESULTS, "decoding/torchvision/images_per_s_16_cores"),
    Source(DECODE_CPU_SECONDS, GPU_RESULTS, "decoding/torchvision/cpu_ms_per_image", 1e-3),
    *(
        Source(seconds, GPU_RESULTS, f"metrics/{name}/seconds")
        for name, seconds in zip(_METRICS, METRICS_SECONDS, strict=True)
    ),
    *(
        Source(seconds, METRICS_RESULTS, f"{name}_seconds_50k")
        for name, seconds in zip(_CPU_METRICS, CPU_METRICS_SECONDS, strict=True)
    ),
    *(
        Source(seconds, f"selection-{CPU_RESULTS}", f"seconds_k{budget}")
        for budget, seconds in SELECTION_SECONDS.items()
    ),
    Source(BOUND_SECONDS, f"selection-{CPU_RESULTS}", "lower_bound_seconds_k50"),
    Source(READ_CLASS_SECONDS, f"reading-{CPU_RESULTS}", "read_class_ms", 1e-3),
)
"""Every figure above with its place in the results."""
