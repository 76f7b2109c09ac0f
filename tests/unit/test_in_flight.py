"""Batches go through a device one after another, and a GPU is given the next before it is done."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor

from otcondense.encoders import Encoder, EncoderConfig
from otcondense.encoders.encoder import build_model, products_in_tf32
from otcondense.in_flight import DEPTH, results_in_order
from pipeline.feature_work import FeatureNetwork
from tests.fake_gpu import GPU, Waits, gpu_of_shapes

BATCHES = 5
CPU = torch.device("cpu")


def events_on(device: str) -> list[str]:
    """Return what happens in turn: batches are made, computed and read."""
    events = []

    def batches() -> Iterator[tuple[Tensor, ...]]:
        for number in range(BATCHES):
            events.append(f"make {number}")
            yield (torch.full((2,), number),)

    def compute(values: Tensor) -> dict[str, Tensor]:
        events.append("compute")
        return {"twice": 2 * values}

    for number, _ in enumerate(results_in_order(compute, batches(), torch.device(device))):
        events.append(f"read {number}")
    return events


def test_a_cpu_computes_a_batch_when_it_is_read() -> None:
    expected = []
    for number in range(BATCHES):
        expected += [f"make {number}", "compute", f"read {number}"]
    assert events_on("cpu") == expected


def test_a_gpu_has_the_next_batches_before_results_are_read() -> None:
    with gpu_of_shapes(), Waits() as waits:
        events = events_on(GPU)
    assert waits.found == []
    for number in range(BATCHES):
        given = events[: events.index(f"read {number}")].count("compute")
        assert given == min(number + 1 + DEPTH, BATCHES)


def test_results_come_in_the_order_of_the_batches() -> None:
    batches = [(torch.full((2,), number),) for number in range(BATCHES)]
    found = results_in_order(lambda values: {"x": values + 1}, batches, CPU)
    assert [int(each["x"][0]) for each in found] == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("classes", [0, 10])
def test_encoding_does_not_wait_for_the_gpu(classes: int) -> None:
    config = EncoderConfig(name="test_resnet", num_classes=classes, image_size=32, device="cpu")
    network = FeatureNetwork(Encoder(config, build_model(config), config.input_spec()), 10**6)
    encoder = network._encoder
    encoder.device = torch.device(GPU)
    encoder.model.to(GPU)
    batch = (torch.zeros(4, 3, 32, 32, dtype=torch.uint8), torch.zeros(4, dtype=torch.int64))
    with gpu_of_shapes():
        with Waits():
            list(results_in_order(network, [batch], network.device))
        with Waits() as waits:
            found = list(results_in_order(network, [batch] * 4, network.device))
    assert waits.found == []
    assert waits.copies == 4 * (2 + (5 if classes else 1)), "inputs and results of each batch"
    assert [each["features"].shape for each in found] == [(4, encoder.model.num_features)] * 4


def test_products_in_tf32_are_allowed_or_forbidden_and_the_setting_is_restored() -> None:
    switches = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [each.allow_tf32 for each in switches]
    for allowed in (True, False):
        with products_in_tf32(allowed=allowed):
            assert [each.allow_tf32 for each in switches] == [allowed, allowed]
    assert [each.allow_tf32 for each in switches] == before


def test_on_a_cpu_tf32_is_float32_with_a_name_of_its_own() -> None:
    torch.manual_seed(0)
    exact = EncoderConfig(name="test_resnet", num_classes=0, image_size=32, device="cpu")
    rounded = exact.model_copy(update={"precision": "tf32"})
    model = build_model(exact)
    pixels = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    found = [
        Encoder(each, model, each.input_spec()).encode_inputs(pixels).features.numpy()
        for each in (exact, rounded)
    ]
    np.testing.assert_array_equal(found[0], found[1])
    assert exact.identity() != rounded.identity()
