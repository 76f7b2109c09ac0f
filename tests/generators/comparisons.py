"""Comparisons of three variants with known differences."""

from typing import Any

from jobs.compare.config import CompareConfig
from jobs.compare.results import result_rows
from jobs.compare.summary import Cell, cells
from jobs.run_directory.config import RunConfig
from jobs.trials.records import Record, Rung
from jobs.trials.trial import Sweep

HOSTILE = "<script>alert(1 + 2)</script>..."
BASE = RunConfig.model_validate(
    {
        "run": "runs/compared",
        "source": {"path": "train"},
        "held_out": {"path": "held_out"},
        "selection": {"methods": ["geometry_aware", "random", "herding"], "budget": 10},
        "models": {
            "sit": {"training": {"model": {"name": "SiT-demo/2"}}, "sampling": {}},
            "dit": {"training": {"model": {"name": "DiT-demo/2"}}, "sampling": {}},
        },
    }
)
VARIANTS = {
    "ours": {"method": "geometry_aware"},
    "random": {"method": "random"},
    "no noise": {"method": "herding"},
}


def record(
    variant: str,
    seed: int,
    distances: dict[int, float],
    num_images: int = 100,
    guidance: float | None = None,
) -> Record:
    rungs = tuple(
        Rung(step=step, metrics={"frechet_distance": d, "num_training": num_images})
        for step, d in distances.items()
    )
    values: dict[str, Any] = {"variant": variant, "seed": seed}
    if guidance is not None:
        values["models.sit.sampling.cfg_scale"] = guidance
    return Record(
        key=f"{variant}-{seed}-{num_images}-{guidance}",
        fingerprint="f",
        values=values,
        state="finished",
        rungs=rungs,
    )


NOISE = (0.3, -0.2, 0.0, 0.1, -0.4, 0.2, -0.1, 0.5)
"""Of each seed, shared by all variants; far greater than their differences."""


def records(count: int) -> list[Record]:
    """Return three variants with so many seeds: ours is worse at 50 steps, better at 100."""
    made = []
    for seed, noise in enumerate(NOISE[:count]):
        made += [
            record("random", seed, {50: 5.0 + noise, 100: 2.0 + noise}),
            record("ours", seed, {50: 5.1 + noise, 100: 1.9 + noise - 0.002 * seed}),
            record("no noise", seed, {50: 5.0 + noise + 0.01 * (-1) ** seed, 100: 2.1 + noise}),
        ]
    return made


RECORDS = records(8)
CONFIG = CompareConfig(
    name="three", variants=VARIANTS, seeds=tuple(range(8)), metrics=("frechet_distance",)
)
SWEEP = Sweep(CONFIG.sweep(BASE), BASE)


def tables(found: list[Record], config: CompareConfig = CONFIG) -> list[Cell]:
    return cells(result_rows(found, Sweep(config.sweep(BASE), BASE)), config)
