"""Write samples as an npz for ADM's evaluator, as PNG files or as one Parquet file."""

import argparse

from jobs.command.progress import note
from jobs.run_directory.run import Run
from otcondense.diffusion.samples import iterate_samples, sample_prompts
from otcondense.errors import InputError
from otcondense.exports.samples import export_samples


def export(run: Run, options: argparse.Namespace) -> None:
    """Write the samples of one checkpoint in another format."""
    model, method, step = _chosen_checkpoint(run, options)
    count = run.config.models[model].sampling.num_samples
    directory = run.samples_directory(model, method, step)
    parts = iterate_samples(run.store, directory, count)
    prompts = sample_prompts(run.store, directory, count)
    export_samples(parts, options.format, options.output, count, prompts)
    note(
        "export samples",
        f"{count} samples of {model} on {method}, step {step}, "
        f"as {options.format}: {options.output}",
    )


def _chosen_checkpoint(run: Run, options: argparse.Namespace) -> tuple[str, str, int]:
    """Return model, method and step of the one checkpoint that the options select.

    Raises: InputError if they select none or several.
    """
    checkpoints = run.checkpoints()
    chosen = []
    for checkpoint in checkpoints:
        wanted = zip((options.model, options.method, options.step), checkpoint, strict=True)
        if all(option is None or option == value for option, value in wanted):
            chosen.append(checkpoint)
    if len(chosen) != 1:
        every = ", ".join(f"{model}/{method}/{step}" for model, method, step in checkpoints)
        raise InputError(
            f"--model, --method and --step must select one checkpoint of {every}; "
            f"found {len(chosen)}"
        )
    return chosen[0]
