"""A run with a subset and a small model, for training scripts."""

from pathlib import Path
from typing import Any

from jobs.run_directory.config import RunConfig
from jobs.run_directory.marker import write_marker
from jobs.run_directory.run import Run
from tests.generators.page_runs import make_run

MODEL = {"name": "SiT-demo/2", "width": 16, "depth": 1, "num_heads": 2}
STEPS = 6


def trained_run(root: Path, **training: Any) -> Run:
    """Return a run of three classes whose model `sit` is ready to be trained on pixels."""
    config = make_run(root).config
    settings = {
        "model": MODEL,
        "subsets": ["geometry_aware"],
        "num_steps": STEPS,
        "checkpoint_steps": [2],
        "checkpoint_every": 3,
        "log_every": 2,
        "global_batch_size": 8,
        "num_workers": 0,
        "device": "cpu",
        **training,
    }
    values = config.model_dump(mode="json") | {
        "pixels": {"size": 8, "channels": 3},
        "models": {"sit": {"training": settings, "sampling": {"num_samples": 8}}},
    }
    run = Run(RunConfig.model_validate(values))
    write_marker(run)
    return run
