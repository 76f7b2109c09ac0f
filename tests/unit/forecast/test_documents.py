"""The tables in the documents are what the forecast computes."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.cluster_forecast import paper_config, paper_stages, table
from jobs.forecasts.model_stages import training_size
from otcondense.forecast.hardware import PRESETS, Hardware
from otcondense.forecast.stages import Workers
from otcondense.forecast.training import TrainingWork, training_stage, training_times

SECTION = "A training, term by term"
UNITS = {"ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0}
ROW = re.compile(r"^\| (?P<name>[a-z -]+) \| .* \| (?P<value>[\d.]+) (?P<unit>ms|s|min|h) \|$")


def documented() -> list[dict[str, tuple[float, float]]]:
    """Value and half of the last digit, in seconds, of each row of the two tables by hand."""
    tables: list[dict[str, tuple[float, float]]] = []
    section = Path("docs/scaling.md").read_text().partition(f"## {SECTION}")[2]
    for line in section.partition("\n## ")[0].splitlines():
        if line == "| term | by hand | result |":
            tables.append({})
        found = ROW.match(line)
        if found:
            digits = len(found["value"].partition(".")[2])
            unit = UNITS[found["unit"]]
            tables[-1][found["name"]] = (float(found["value"]) * unit, 0.5 * 10**-digits * unit)
    return tables


def training() -> TrainingWork:
    """The training of the paper, with gradients in float32."""
    config = paper_config(10)
    settings = config.models["l2"].training
    size = training_size(config, settings, 1000, workers=8)
    flops = size.flops / (settings.num_steps * settings.global_batch_size)
    return TrainingWork("", size.parameters, flops, 100_000, 128, saves=20)


@pytest.mark.parametrize(("index", "name"), [(0, "8xH100"), (1, "8x1xH100")])
def test_the_calculation_by_hand(index: int, name: str) -> None:
    hardware = PRESETS[name]
    work = training()
    workers = Workers(8, on_gpus=True)
    times = training_times(work, hardware, workers)
    expected = {
        "passes": times.compute,
        "all-reduce": times.all_reduce,
        "gradients": times.exposed,
        "update": times.update,
        "step": times.step,
        "copy of a checkpoint": times.copy,
        "write of a checkpoint": times.write,
        "training": training_stage(work, hardware, workers).seconds,
    }
    found = documented()[index]
    assert found.keys() >= {"passes", "all-reduce", "update", "step", "training"}
    for term, (value, rounding) in found.items():
        assert abs(value - expected[term]) <= 1.01 * rounding, term
    assert work.parameters / 1e6 == pytest.approx(502.4, abs=0.05)
    assert work.flops_per_image / 1e9 == pytest.approx(484.2, abs=0.05)


def test_the_shipped_configuration_is_that_training() -> None:
    hardware = Hardware()
    by_hand = training_stage(training(), hardware, Workers(8, on_gpus=True))
    [shipped] = [stage for stage in paper_stages(10, hardware) if stage.name == "train"]
    assert shipped.workers == by_hand.workers
    assert shipped.seconds == pytest.approx(by_hand.seconds, rel=0.01)


def test_gradients_in_bfloat16_between_pods() -> None:
    node, pods = PRESETS["8xH100"], PRESETS["8x1xH100"]
    workers = Workers(8, on_gpus=True)
    half = training_stage(replace(training(), gradient_bytes=2), pods, workers).seconds
    times = half / training_stage(training(), node, workers).seconds
    text = f"halve the bytes: {half / 3600:.1f} h, still {times:.0f} times the time on one node"
    assert text in " ".join(Path("docs/scaling.md").read_text().split())


def test_the_table_of_time_and_cost() -> None:
    assert table(Hardware()) in Path("cluster/README.md").read_text()


def test_minutes_of_the_papers_runs() -> None:
    stages = {stage.name: stage.seconds / 60 for stage in paper_stages(10, Hardware())}
    training, sampling = stages["train"], stages["sample"] / 2
    text = Path("docs/reproduce-the-paper.md").read_text()
    words = " ".join(text.replace("\N{MULTIPLICATION SIGN}", "x").split())
    assert f"is {training:.0f} minutes (8 x {training:.0f} GPU minutes) for each" in words
    assert f"{sampling:.0f} minutes (8 x {sampling:.0f}) for the 50,000 samples" in words
