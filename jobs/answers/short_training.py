"""What is said of the small model of `--train` if its training was short."""

from jobs.run_directory.run import Run

NAME = "tiny"
"""Name of the model, and value of `--train`."""
FEW_STEPS = 2000
"""With fewer steps, samples of a model of this size look like noise."""


def short_training(run: Run) -> str:
    """Return the remark on the small model; empty if it has enough steps, or there is none."""
    model = run.config.models.get(NAME)
    if model is None or model.training.num_steps >= FEW_STEPS:
        return ""
    return (
        f"short training ({model.training.num_steps:,} steps of model {NAME}, fewer than "
        f"{FEW_STEPS:,}): its samples look like noise; the comparison of models says little"
    )
