"""Write samples as an npz for ADM's evaluator, as PNG files or as one Parquet: `python -m jobs.export_samples --format npz|png|parquet`."""

import argparse

from jobs.command.progress import note
from jobs.run_directory.run import Run
from otcondense.diffusion.samples import iterate_samples
from otcondense.errors import InputError
from otcondense.exports.samples import export_samples


def export(run: Run, options: argparse.Namespace) -> None:
    """Write the samples of one checkpoint in another form."""
    known = [
        (name, method, step)
        for name, method, step in run.checkpoints()
        if options.model in (None, name)
    ]
    known = [
        each
        for each in known
        if options.method in (None, each[1]) and options.step in (None, each[2])
    ]
    if len(known) != 1:
        every = ", ".join(f"{name}/{method}/{step}" for name, method, step in run.checkpoints())
        raise InputError(
            f"--model, --method and --step must name one checkpoint of {every}; found {len(known)}"
        )
    name, method, step = known[0]
    count = run.config.models[name].sampling.num_samples
    export_samples(
        iterate_samples(run.store, run.samples_directory(name, method, step), count),
        options.format,
        options.output,
        count,
    )
    note(
        "export samples",
        f"{count} samples of {name} on {method}, step {step}, as {options.format}: {options.output}",
    )
