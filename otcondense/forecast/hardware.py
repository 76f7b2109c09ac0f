"""The hardware of a forecast: numbers of nodes, speeds, prices.

Defaults are those of one node with eight H100. Speeds of the GPU are measured
(`otcondense.forecast.measured`); those of links and storage, and the prices, are assumed.
"""

from typing import Final, Literal

from pydantic import Field

from otcondense.config import Config
from otcondense.forecast import measured

Precision = Literal["float32", "tf32", "bfloat16"]
"""Arithmetic of a network."""
GIGA: Final = 1e9
TERA: Final = 1e12
BITS_PER_BYTE: Final = 8
FORWARD_FLOPS: Final = 161.39e9
"""DiT-L/2 or SiT-L/2 on 32 x 32 latents: one forward pass for one image."""
PARAMETERS: Final = 458.1e6
"""Of the same model, without attached parts."""
TRAINING_PASSES: Final = 3
"""A backward pass takes twice the arithmetic of a forward pass."""
INCEPTION_FLOPS: Final = 11.43e9
"""Inception-v3 at 299 pixels, one image."""
DINO_FLOPS: Final = 162.0e9
"""DINOv2-L/14 at 224 pixels, one image."""
UPDATE_BYTES: Final = 64
"""Bytes that a step moves for each parameter besides the passes.

AdamW reads weight, gradient and moments and writes three of them (28), the average reads two and
writes one (12), clipping reads for the norm and scales (12), casts to bfloat16 and of the gradients
back (12).
"""


FLOAT32_SHARE: Final = measured.FLOAT32_TFLOPS / measured.MATRIX_TFLOPS
"""Speed of products in float32, without TF32, as a share of that in bfloat16."""


def _training_tflops(step_seconds: float) -> float:
    """Return the speed of the passes: a measured step without the update."""
    update = UPDATE_BYTES * PARAMETERS / (measured.MEMORY_GB_PER_S * GIGA)
    arithmetic = TRAINING_PASSES * FORWARD_FLOPS * measured.STEP_IMAGES
    return arithmetic / (step_seconds - update) / TERA


def _sampling_tflops() -> float:
    passes = 2 * measured.SAMPLED_STEPS
    return measured.SAMPLED_IMAGES_PER_S * passes * FORWARD_FLOPS / TERA


EAGER_SHARE: Final = _training_tflops(measured.EAGER_STEP_SECONDS) / _training_tflops(
    measured.STEP_SECONDS
)
"""Speed of the passes without compiled blocks, as a share of that with them."""
TRANSFORMER_TFLOPS: Final = measured.DINO_BFLOAT16_IMAGES_PER_S * DINO_FLOPS / TERA


class Hardware(Config):
    """Nodes, their speeds and their prices."""

    name: str = "8xH100"
    """Its name in reports."""
    nodes: int = Field(default=1, ge=1)
    """Nodes."""
    gpus_per_node: int = Field(default=8, ge=0)
    """GPUs of a node; 0: the cores do all work."""
    cores_per_node: int = Field(default=96, ge=1)
    """CPU cores of a node."""
    training_tflops: float = Field(default=round(_training_tflops(measured.STEP_SECONDS), 1), gt=0)
    """Speed of a GPU in the passes of a training in bfloat16 with compiled blocks, in TFLOP/s."""
    sampling_tflops: float = Field(default=round(_sampling_tflops(), 1), gt=0)
    """Speed of a GPU in sampling in bfloat16, in TFLOP/s."""
    convolution_bfloat16_tflops: float = Field(
        default=round(measured.INCEPTION_BFLOAT16_IMAGES_PER_S * INCEPTION_FLOPS / TERA, 1), gt=0
    )
    """Speed of a GPU in a convolutional encoder or autoencoder in bfloat16, in TFLOP/s."""
    convolution_tf32_tflops: float = Field(
        default=round(measured.INCEPTION_IMAGES_PER_S * INCEPTION_FLOPS / TERA, 1), gt=0
    )
    """The same in TF32."""
    transformer_bfloat16_tflops: float = Field(default=round(TRANSFORMER_TFLOPS, 1), gt=0)
    """Speed of a GPU in a transformer encoder in bfloat16, in TFLOP/s."""
    transformer_tf32_tflops: float = Field(
        default=round(TRANSFORMER_TFLOPS * measured.TF32_TFLOPS / measured.MATRIX_TFLOPS, 1), gt=0
    )
    """The same in TF32; not measured: the share of the peak that bfloat16 reaches."""
    encoder_float32_tflops: float = Field(
        default=round(TRANSFORMER_TFLOPS * FLOAT32_SHARE, 1), gt=0
    )
    """Speed of a GPU in any encoder in float32 without TF32; not measured, as above."""
    core_tflops: float = Field(default=0.05, gt=0)
    """Speed of a CPU core in any network in float32, in TFLOP/s; assumed."""
    decoded_per_core: float = Field(
        default=round(measured.DECODED_IMAGES_PER_S / measured.DECODE_CORES, 1), gt=0
    )
    """JPEG files of 131 kB that a core decodes and resizes a second."""
    decoded_per_gpu: float = Field(default=round(measured.NVJPEG_IMAGES_PER_S), gt=0)
    """JPEG files of 131 kB that nvJPEG decodes and resizes on one GPU a second."""
    metrics_seconds: float = Field(default=round(sum(measured.METRICS_SECONDS), 2), gt=0)
    """Seconds of all metrics of 50,000 samples and as many images, on one GPU."""
    memory_gb_per_s: float = Field(default=round(measured.MEMORY_GB_PER_S), gt=0)
    """Bytes (10^9) that a GPU reads and writes in its memory a second."""
    host_copy_gb_per_s: float = Field(default=round(measured.HOST_COPY_GB_PER_S), gt=0)
    """Bytes (10^9) a second from a GPU to pinned memory of its host."""
    nvlink_gb_per_s: float = Field(default=360.0, gt=0)
    """Bytes (10^9) a second that each GPU sends and receives within a node; assumed: 80 % of the
    450 of NVLink 4."""
    network_gbit_per_s: float = Field(default=25.0, gt=0)
    """Bits (10^9) a second that a node sends and receives; assumed."""
    storage_gb_per_s: float = Field(default=1.0, gt=0)
    """Bytes (10^9) a second of the shared storage, for all nodes together; assumed."""
    step_floor_seconds: float = Field(default=0.0, ge=0)
    """Shortest training step that the host can launch. No committed benchmark has measured it."""
    gpu_memory_gb: float = Field(default=80.0, gt=0)
    """Memory (10^9 bytes) of a GPU."""
    gpu_price: float = Field(default=3.0, ge=0)
    """Price of a GPU with its share of the node, for an hour; assumed."""
    core_price: float = Field(default=0.04, ge=0)
    """Price of a CPU core for an hour, on nodes without GPUs; assumed."""

    @property
    def gpus(self) -> int:
        """GPUs of all nodes."""
        return self.nodes * self.gpus_per_node

    @property
    def cores(self) -> int:
        """Cores of all nodes."""
        return self.nodes * self.cores_per_node

    def passes_tflops(self, *, bfloat16: bool, compiled: bool) -> float:
        """Return the speed of a GPU in the passes of a training, in TFLOP/s."""
        precision = 1.0 if bfloat16 else FLOAT32_SHARE
        return self.training_tflops * precision * (1.0 if compiled else EAGER_SHARE)

    def encoder_tflops(self, precision: Precision, *, convolutional: bool) -> float:
        """Return the speed of a GPU in an encoder, in TFLOP/s."""
        if precision == "float32":
            return self.encoder_float32_tflops
        if precision == "tf32":
            return self.convolution_tf32_tflops if convolutional else self.transformer_tf32_tflops
        if convolutional:
            return self.convolution_bfloat16_tflops
        return self.transformer_bfloat16_tflops


PRESETS: dict[str, Hardware] = {
    each.name: each
    for each in (
        Hardware(),
        Hardware(name="1xH100", gpus_per_node=1, cores_per_node=16),
        Hardware(name="2x8xH100", nodes=2),
        Hardware(name="8x1xH100", nodes=8, gpus_per_node=1, cores_per_node=12),
    )
}
"""Hardware by name: GPUs, or nodes x GPUs of a node, and their kind."""
