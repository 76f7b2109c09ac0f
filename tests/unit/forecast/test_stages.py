"""Terms of the forecast against arithmetic that is written out here."""

from dataclasses import replace

import pytest

from otcondense.forecast.encoding import (
    EncodingWork,
    Images,
    Network,
    ReadingWork,
    encoding_stage,
    reading_stage,
    text_stage,
)
from otcondense.forecast.evaluation import EvaluationWork, evaluation_stage
from otcondense.forecast.grouping import GroupingWork, grouping_stage
from otcondense.forecast.hardware import PRESETS, Hardware, Precision
from otcondense.forecast.sampling import SamplingWork, sampling_stage
from otcondense.forecast.selection import (
    SelectionWork,
    baseline_seconds,
    class_seconds,
    selection_stage,
)
from otcondense.forecast.stages import Stage, Term, Workers, beside, workers_of
from otcondense.forecast.training import (
    TrainingWork,
    all_reduce_seconds,
    training_stage,
    training_times,
)

NODE = PRESETS["8xH100"]
PODS = PRESETS["8x1xH100"]
EIGHT = Workers(8, on_gpus=True)
WORK = TrainingWork("l2", 500_000_000, 484e9, steps=1000, batch=128, saves=10)


def seconds(stage: Stage) -> dict[str, float]:
    return {term.name: term.seconds for term in stage.terms}


def test_parts_beside_each_other_take_as_long_as_the_longest() -> None:
    terms = beside(Term("a", 2.0), Term("b", 3.0))
    stage = Stage("s", "", (*terms, Term("c", 1.0)), EIGHT)
    assert stage.seconds == 4.0
    assert stage.cost(NODE) == pytest.approx(4 / 3600 * 8 * 3.0)
    on_cores = replace(stage, workers=Workers(96, on_gpus=False))
    assert on_cores.cost(NODE) == pytest.approx(4 / 3600 * 96 * 0.04)


@pytest.mark.parametrize(
    ("hardware", "workers", "expected"),
    [
        (NODE, 1, 0.0),
        (NODE, 8, 2 * 7 / 8 * 2e9 / 360e9),
        (PODS, 8, 2 * 7 / 8 * 2e9 / (25e9 / 8)),
        (PRESETS["2x8xH100"], 8, 2 * 7 / 8 * 2e9 / 360e9),
        (PRESETS["2x8xH100"], 16, 2 * 15 / 16 * 2e9 / (25e9 / 8)),
    ],
)
def test_a_ring_uses_the_network_only_between_nodes(
    hardware: Hardware, workers: int, expected: float
) -> None:
    assert all_reduce_seconds(hardware, workers, 2e9) == pytest.approx(expected)


def test_the_backward_pass_hides_gradients_but_the_last() -> None:
    fast, slow = (training_times(WORK, hardware, EIGHT) for hardware in (NODE, PODS))
    assert fast.exposed == pytest.approx(2 * 7 / 8 * 25 * 2**20 / 360e9)
    assert slow.exposed == pytest.approx(slow.all_reduce - 2 / 3 * slow.compute)
    half = training_times(replace(WORK, gradient_bytes=2), PODS, EIGHT)
    assert half.all_reduce == pytest.approx(slow.all_reduce / 2)


def test_a_slow_storage_holds_the_training_up() -> None:
    slow = NODE.model_copy(update={"storage_gb_per_s": 0.1})  # 80 s a save, 3 s between two
    usual, held_up = (training_times(WORK, hardware, EIGHT) for hardware in (NODE, slow))
    between = WORK.steps / WORK.saves * usual.step
    assert usual.waits == pytest.approx(8 - between)
    assert held_up.waits == pytest.approx(80 - between)
    seldom = training_times(replace(WORK, saves=1), NODE, EIGHT)
    assert seldom.waits == seldom.copy == pytest.approx(8 / 55)


def test_a_step_is_no_shorter_than_its_launch() -> None:
    floor = NODE.model_copy(update={"step_floor_seconds": 0.084})
    assert training_times(WORK, floor, EIGHT).step == 0.084
    assert training_stage(WORK, floor, EIGHT).seconds == pytest.approx(
        0.084 * WORK.steps + WORK.saves * training_times(WORK, floor, EIGHT).waits
    )


@pytest.mark.parametrize("setting", ["bfloat16", "compiled"])
def test_slower_passes(setting: str) -> None:
    slower = training_times(replace(WORK, **{setting: False}), NODE, EIGHT)
    assert slower.compute > 1.5 * training_times(WORK, NODE, EIGHT).compute
    work = SamplingWork("", 1000, flops=161e9, passes=500.0, decoder=None, image_bytes=1)
    usual, slow = (
        seconds(sampling_stage(each, NODE, EIGHT))["network"]
        for each in (work, replace(work, **{setting: False}))
    )
    assert slow / usual == pytest.approx(slower.compute / training_times(WORK, NODE, EIGHT).compute)


def test_an_extraction_shares_cores_and_not_gpus() -> None:
    network = Network(flops=10e9, convolutional=True)
    work = EncodingWork("x", "", Images(1000, 1e5), network, passes=2, stored_bytes=1000)
    found = seconds(encoding_stage(work, NODE, EIGHT))
    assert found["encoding"] == pytest.approx(1000 * 2 * 10e9 / (8 * 42.5e12))
    assert found["decoding"] == pytest.approx(1000 / (96 * 112.7))
    assert found["reading"] == pytest.approx(0.1)
    assert found["regrouping"] == 2 * found["writing"] == pytest.approx(0.002)
    on_gpu = replace(work, images=Images(1000, 1e5, on_gpu=True))
    assert seconds(encoding_stage(on_gpu, NODE, EIGHT))["decoding"] < found["decoding"] / 9
    on_cores = encoding_stage(work, NODE, Workers(96, on_gpus=False))
    shown = [term.name for term in on_cores.terms if not term.hidden]
    assert shown[:2] == ["decoding", "encoding"]
    assert seconds(on_cores)["encoding"] == pytest.approx(1000 * 2 * 10e9 / (96 * 0.05e12))


def test_workers_share_captions_and_not_those_that_all_images_are_compared_with() -> None:
    work = ReadingWork("", 10_000_000, flops=13e9, stored_bytes=3000)
    features = seconds(reading_stage(work, NODE, EIGHT))
    assert features.keys() == {"encoding", "writing"}
    assert features["encoding"] == pytest.approx(1e7 * 13e9 / (8 * 24.5e12))
    assert features["writing"] == pytest.approx(1e7 * 3000 / 1e9)
    compared = replace(work, shared=1023, width=768)
    found = seconds(reading_stage(compared, NODE, EIGHT))
    assert found["encoding"] == pytest.approx((1e7 / 8 + 1023) * 13e9 / 24.5e12)
    assert found["comparing"] == pytest.approx(2 * 1e7 / 8 * 1024 * 768 / 0.025e12)
    on_cores = seconds(reading_stage(work, NODE, Workers(96, on_gpus=False)))
    assert on_cores["encoding"] == pytest.approx(1e7 * 13e9 / (96 * 0.05e12))


def test_workers_share_the_texts_of_a_training() -> None:
    one, eight = (
        seconds(text_stage("", 11e9, 1e15, NODE, Workers(count, on_gpus=True))) for count in (1, 8)
    )
    assert one["encoding"] == pytest.approx(1e15 / 24.5e12)
    assert one["encoding"] == pytest.approx(8 * eight["encoding"])
    assert one["loading"] == eight["loading"] == pytest.approx(11)


@pytest.mark.parametrize(
    ("precision", "convolutional", "tflops"),
    [
        ("bfloat16", True, 63.6),
        ("bfloat16", False, 377.3),
        ("tf32", True, 42.5),
        ("tf32", False, 187.4),
        ("float32", True, 24.5),
        ("float32", False, 24.5),
    ],
)
def test_the_arithmetic_of_an_encoder_decides_its_speed(
    precision: Precision, tflops: float, *, convolutional: bool
) -> None:
    network = Network(1e9, convolutional=convolutional, precision=precision)
    assert network.images_per_s(NODE, EIGHT) == pytest.approx(8000 * tflops)


@pytest.mark.parametrize(
    ("size", "budget", "expected"),
    [(1300, 10, 2 * 0.5647), (1300, 5, 0.5647), (2600, 10, 8 * 0.5647), (1300, 200, 4 * 11.308)],
)
def test_a_class_takes_what_was_measured(size: int, budget: int, expected: float) -> None:
    assert class_seconds(size, budget, bound=False) == pytest.approx(expected, rel=1e-3)
    assert class_seconds(size, budget, bound=True) > expected


def test_baselines_that_take_long_are_counted() -> None:
    assert baseline_seconds("herding", 1000, 10) == 0
    ten, hundred = (baseline_seconds("uniprot", 1000, budget) for budget in (10, 100))
    assert 0 < ten < hundred == baseline_seconds("uniprot", 1000, 500)
    assert baseline_seconds("uniprot", 2000, 10) == pytest.approx(4 * ten)
    work = SelectionWork("", sizes=[1000, 2000], budgets=[10, 10], method="uniprot")
    stage = selection_stage(work, Workers(1, on_gpus=False))
    assert seconds(stage)["searching"] == pytest.approx(5 * ten)


def test_a_selection_takes_at_least_its_longest_class() -> None:
    work = SelectionWork("", sizes=[1300] * 10, budgets=[10] * 10)
    one = class_seconds(1300, 10, bound=True)
    found = [
        seconds(selection_stage(work, Workers(count, on_gpus=False)))["searching"]
        for count in (1, 5, 96)
    ]
    assert found == pytest.approx([10 * one, 2 * one, one])


def test_samples_are_made_decoded_and_written() -> None:
    decoder = Network(flops=600e9, convolutional=True)
    work = SamplingWork("", 1000, flops=161e9, passes=500.0, decoder=decoder, image_bytes=10**6)
    found = seconds(sampling_stage(work, NODE, EIGHT))
    assert found["network"] == pytest.approx(1000 * 500 * 161e9 / (8 * 423.7e12))
    assert found["decoding of latents"] == pytest.approx(1000 * 600e9 / (8 * 42.5e12))
    assert found["writing"] == pytest.approx(1.0)


def test_an_evaluation_encodes_every_set_and_measures_each_checkpoint() -> None:
    network = Network(flops=10e9, convolutional=True)
    work = EvaluationWork("", Images(20_000, 1e5), 10_000, [50_000, 50_000], 200_000, [network])
    found = seconds(evaluation_stage(work, NODE, EIGHT))
    assert found["encoding"] == pytest.approx(120_000 * 10e9 / (8 * 42.5e12))
    assert found["reading"] == pytest.approx(2.0 + 20.0)
    assert found["metrics"] == pytest.approx(2 * 2.36 / 5)
    on_cores = seconds(evaluation_stage(work, NODE, Workers(96, on_gpus=False)))
    assert on_cores["metrics"] == pytest.approx(2 * 2 * 518.69 / 96 / 5, rel=1e-3)


@pytest.mark.parametrize(
    ("asked", "gpus_each", "expected"),
    [
        (None, None, Workers(8, on_gpus=True)),
        (2, 1, Workers(2, on_gpus=True)),
        (4, 0.25, Workers(1, on_gpus=True)),
        (20, 1, Workers(8, on_gpus=True)),
        (0, None, Workers(1, on_gpus=True)),
        (2, 0, Workers(2, on_gpus=False)),
        (None, 0, Workers(96, on_gpus=False)),
    ],
)
def test_workers(asked: int | None, gpus_each: float | None, expected: Workers) -> None:
    assert workers_of(NODE, asked=asked, gpus_each=gpus_each, cores_each=1.0) == expected


def test_a_grouping_is_linear_in_the_images_once_a_worker_cannot_hold_them() -> None:
    cores = Workers(4, on_gpus=False)
    found = []
    for size in (10**6, 10**7):
        work = GroupingWork([size], width=256, most=2000)
        found.append(grouping_stage(work, "", cores).seconds)
        assert work.groups == size / 1000
    assert found[1] == pytest.approx(10 * found[0])
    small = GroupingWork([1300] * 10, width=256, most=2000)
    assert small.groups == 10
    assert seconds(grouping_stage(small, "", cores))["splitting"] == 0
