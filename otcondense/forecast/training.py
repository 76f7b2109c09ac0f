"""Time of a training: a step's passes, gradients and update, and the checkpoints."""

from dataclasses import dataclass

from otcondense.forecast.hardware import BITS_PER_BYTE, GIGA, TERA, UPDATE_BYTES, Hardware
from otcondense.forecast.stages import Stage, Term, Workers

STATE_BYTES = 16
"""Bytes of a parameter in a checkpoint: weight, average and two moments, all float32."""
BUCKET_BYTES = 25 * 2**20
"""Gradients that PyTorch averages at once; the last ones have no arithmetic left beside them."""
BACKWARD_SHARE = 2 / 3
"""Share of the passes that is backward, beside which gradients are averaged."""


@dataclass(frozen=True)
class TrainingWork:
    """What a training computes, moves and stores."""

    title: str
    parameters: int
    flops_per_image: float
    """Of all passes of one image."""
    steps: int
    batch: int
    """Images of a step, over all workers."""
    saves: int
    """Checkpoints, kept or not."""
    gradient_bytes: int = 4
    """Bytes of a gradient as workers exchange it: 4 in float32, 2 in bfloat16."""
    bfloat16: bool = True
    """Whether the passes compute in bfloat16."""
    compiled: bool = True
    """Whether the blocks are compiled."""


@dataclass(frozen=True)
class TrainingTimes:
    """The terms of a training, in seconds."""

    compute: float
    """Forward and backward pass of one worker's share, each step."""
    all_reduce: float
    """Averaging of the gradients, each step, alone."""
    exposed: float
    """Its part that the backward pass does not hide."""
    update: float
    """Clipping, optimizer, average and casts, each step."""
    step: float
    """One step."""
    copy: float
    """Standstill of one checkpoint: its copy to the memory of the host."""
    write: float
    """Writing it to the storage beside the next steps."""
    waits: float
    """Standstill of one checkpoint if the storage is slower than the training."""


def all_reduce_seconds(hardware: Hardware, workers: int, size: int | float) -> float:
    """Return the time of averaging `size` bytes over workers in a ring.

    Each sends and receives 2 (n - 1) / n of the bytes. Workers that fit on one node use its links
    between GPUs; else the ring enters and leaves each node once, through its network.
    """
    if workers <= 1:
        return 0.0
    moved = 2 * (workers - 1) / workers * size
    if workers <= hardware.gpus_per_node:
        return moved / (hardware.nvlink_gb_per_s * GIGA)
    if hardware.nodes == 1:  # cores of one machine
        return moved / (hardware.memory_gb_per_s * GIGA)
    return moved / (hardware.network_gbit_per_s / BITS_PER_BYTE * GIGA)


def training_times(work: TrainingWork, hardware: Hardware, workers: Workers) -> TrainingTimes:
    """Return the terms of a training on so many workers."""
    count = int(workers.count)
    speed = hardware.core_tflops
    if workers.on_gpus:
        speed = hardware.passes_tflops(bfloat16=work.bfloat16, compiled=work.compiled)
    compute = work.batch * work.flops_per_image / count / (speed * TERA)
    gradients = work.parameters * work.gradient_bytes
    all_reduce = all_reduce_seconds(hardware, count, gradients)
    last = all_reduce_seconds(hardware, count, min(gradients, BUCKET_BYTES))
    exposed = max(last, all_reduce - BACKWARD_SHARE * compute)
    memory = hardware.memory_gb_per_s * GIGA
    update = UPDATE_BYTES * work.parameters / memory
    step = max(compute + exposed + update, hardware.step_floor_seconds)

    state = STATE_BYTES * work.parameters
    copy = state / (hardware.host_copy_gb_per_s * GIGA)
    write = state / (hardware.storage_gb_per_s * GIGA)
    between = work.steps * step / max(1, work.saves)
    waits = max(copy, write - between)
    return TrainingTimes(compute, all_reduce, exposed, update, step, copy, write, waits)


def training_stage(work: TrainingWork, hardware: Hardware, workers: Workers) -> Stage:
    """Return the time of a training; its checkpoints are written beside the next steps."""
    times = training_times(work, hardware, workers)
    launch = hardware.step_floor_seconds - (times.compute + times.exposed + times.update)
    terms = (
        Term("passes", work.steps * times.compute),
        Term("gradients", work.steps * times.exposed),
        Term("update", work.steps * times.update),
        *([Term("launch", work.steps * launch)] if launch > 0 else []),
        Term("checkpoints", work.saves * times.waits),
        Term("writing of checkpoints", work.saves * times.write, hidden=True),
    )
    return Stage("train", work.title, terms, workers)
