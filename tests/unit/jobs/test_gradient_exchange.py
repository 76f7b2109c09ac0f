"""The exchange of gradients between workers, in float32 or rounded to bfloat16."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from otcondense.diffusion import ModelConfig, Pixels, TrainingConfig, TrainingSet
from otcondense.diffusion.training import batch_loss, create_state, make_batch
from otcondense.diffusion.workers import Workers

SHAPE = (1, 8, 8)
CLASSES = 10
RUN = (
    "import sys; from tests.unit.jobs.test_gradient_exchange import rank_main; rank_main(sys.argv)"
)


def config(compression: str, precision: str = "float32") -> TrainingConfig:
    return TrainingConfig(
        model=ModelConfig(name="SiT-demo/2", width=16, depth=1, num_heads=2),
        global_batch_size=4,
        num_workers=2,
        precision=precision,
        gradient_compression=compression,
    )


def gradient(workers: Workers | None, compression: str, share: tuple[int, int]) -> Tensor:
    """Return the gradient of one step, after the exchange if there are workers."""
    draw = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (8, *SHAPE), dtype=torch.uint8, generator=draw)
    data = TrainingSet(Pixels(images), torch.arange(8) % CLASSES)
    training = config(compression)
    state = create_state(training, CLASSES, SHAPE)
    for weight in state.weights:  # a new model's output is 0, and so are most of its gradients
        weight.data += 0.02 * torch.randn(weight.shape, generator=draw)
    if workers is not None:
        workers.wrap(state)
    batch_loss(state, make_batch(training, 0, data, share)).backward()  # type: ignore[no-untyped-call]
    return torch.cat([each.grad.flatten() for each in state.weights if each.grad is not None])


def join(folder: Path, rank: int, size: int) -> None:
    place = f"file://{folder / 'group'}"
    torch.distributed.init_process_group("gloo", init_method=place, rank=rank, world_size=size)


def rank_main(arguments: list[str]) -> None:
    """Write the exchanged gradient of one of two workers."""
    folder, rank = Path(arguments[1]), int(arguments[2])
    join(folder, rank, 2)
    found = gradient(Workers(rank, 2), "bfloat16", (rank, 2))
    torch.save(found, folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Workers]:
    """A worker that is told of a second one, alone in its group: only the rounding is left."""
    join(tmp_path, 0, 1)
    yield Workers(0, 2)
    torch.distributed.destroy_process_group()


@pytest.mark.parametrize("compression", ["auto", "none", "bfloat16"])
def test_gradients_are_rounded_if_asked(worker: Workers, compression: str) -> None:
    found = gradient(worker, compression, (0, 1))
    expected = gradient(None, compression, (0, 1))
    if compression == "bfloat16":
        assert not torch.equal(expected.bfloat16().float(), expected)
        expected = expected.bfloat16().float()
    assert torch.equal(found, expected)


@pytest.mark.slow
def test_two_workers_get_the_mean_of_their_rounded_gradients(tmp_path: Path) -> None:
    ranks = [
        subprocess.Popen([sys.executable, "-c", RUN, str(tmp_path), str(rank)]) for rank in (0, 1)
    ]
    assert [each.wait() for each in ranks] == [0, 0]
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    assert torch.equal(first, second)
    halves = [gradient(None, "none", (rank, 2)).bfloat16() / 2 for rank in (0, 1)]
    assert torch.equal(first, (halves[0] + halves[1]).float())


@pytest.mark.parametrize(
    ("compression", "precision", "device", "rounds"),
    [
        ("auto", "bfloat16", "cuda:0", True),
        ("auto", "float32", "cuda:0", False),
        ("auto", "bfloat16", "cpu", False),
        ("none", "bfloat16", "cuda:0", False),
        ("bfloat16", "float32", "cpu", True),
    ],
)
def test_who_rounds(compression: str, precision: str, device: str, rounds: bool) -> None:
    workers = Workers(0, 2, device)
    assert workers.rounds_gradients(config(compression, precision)) == rounds


def test_the_default_keeps_the_names_of_earlier_trainings() -> None:
    assert "gradient_compression" not in config("auto").identity()
    assert config("none").identity()["gradient_compression"] == "none"
