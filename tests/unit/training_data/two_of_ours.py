"""A worker of `otcondense train` under torchrun: `-m tests.unit.training_data.two_of_ours JOB`."""

import json
import os
import sys
from pathlib import Path

import torch

from jobs.train.loop import run_loop
from otcondense.diffusion import TrainJob, Workers
from otcondense.threads import one_thread


def main() -> None:
    """Train the job in a file, as the workers of Ray Train do."""
    torch.distributed.init_process_group("gloo")
    job = TrainJob.from_settings(json.loads(Path(sys.argv[1]).read_text()))
    with one_thread():
        run_loop(job, Workers(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])))
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
