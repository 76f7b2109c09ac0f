"""The weights of a manifest are inputs of a training that uses them, and of no other."""

import numpy as np
import pyarrow as pa
import pytest

from jobs.run_directory.config import RunConfig
from jobs.run_directory.run import Run
from jobs.train.prepare import training_fingerprint
from otcondense.diffusion import TrainingConfig
from otcondense.store import MANIFEST_COLUMNS, write_table
from otcondense.store.images import write_images


@pytest.mark.parametrize(("weighting", "changes"), [("uniform", False), ("manifest", True)])
def test_other_weights_make_another_training_if_they_are_used(weighting, changes, tmp_path):
    run = Run(RunConfig(run=str(tmp_path), source={"path": str(tmp_path)}))
    images = np.zeros((2, 1, 8, 8), dtype=np.uint8)
    write_images(run.store, run.images_file("random"), images, np.arange(2), fingerprint="images")
    config = TrainingConfig(weighting=weighting)
    found = set()
    for weight in (1.0, 2.0):
        columns = {name: [0, 0] for name in MANIFEST_COLUMNS} | {"weight": [weight, 1.0]}
        write_table(run.store, run.manifest("random"), pa.table(columns), fingerprint="subset")
        found.add(training_fingerprint(run, config, "random"))
    assert (len(found) == 2) == changes
