"""Write samples as an npz for ADM's evaluator, as PNG files or as one Parquet: `python -m jobs.export_samples --format npz|png|parquet`."""

import argparse

from jobs.cli import parser_for, run_verb
from jobs.progress import note
from jobs.run_directory import Run
from otcondense.diffusion.samples import iterate_samples
from otcondense.errors import InputError
from pipeline.sample_exports import SAMPLE_EXPORTS, export_samples


def export(run: Run, options: argparse.Namespace) -> None:
    """Write the samples of one checkpoint in another form."""
    known = [(name, method, step) for name, method, step in run.checkpoints() if options.model in (None, name)]
    known = [each for each in known if options.method in (None, each[1]) and options.step in (None, each[2])]
    if len(known) != 1:
        every = ", ".join(f"{name}/{method}/{step}" for name, method, step in run.checkpoints())
        raise InputError(f"--model, --method and --step must name one checkpoint of {every}; found {len(known)}")
    name, method, step = known[0]
    count = run.config.models[name].sampling.num_samples
    export_samples(iterate_samples(run.store, run.samples_directory(name, method, step), count), options.format, options.output, count)
    note("export samples", f"{count} samples of {name} on {method}, step {step}, as {options.format}: {options.output}")


if __name__ == "__main__":
    parser = parser_for("export_samples", __doc__)
    parser.add_argument("--model", help="name of the model, where there are several")
    parser.add_argument("--method", help="selection method whose subset it was trained on, where there are several")
    parser.add_argument("--step", type=int, help="step of the checkpoint, where there are several")
    parser.add_argument("--format", choices=sorted(SAMPLE_EXPORTS), default="npz", help="form of the samples [npz]")
    parser.add_argument("--output", required=True, help="file (npz, parquet) or folder (png) to write; it must not exist yet")
    run_verb(parser, export)
