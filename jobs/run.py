"""The whole way, stage after stage; finished work is recognised: `python -m jobs.run`."""

import time

from jobs import extract_latents, extract_text, extract_tokens
from jobs.cli import main
from jobs.evaluate import evaluate, print_table
from jobs.extract_features import extract
from jobs.forecast import forecast_run
from jobs.report import report
from jobs.run_directory import Run
from jobs.sample import sample
from jobs.score import score
from jobs.select_subset import select_subset
from jobs.stage_log import log_stage, print_stages
from jobs.train import train
from otcondense.diffusion.representations import used_kinds


def needed_inputs(run: Run) -> set[str]:
    """Return which of latents, tokens and text the models of a run are trained with."""
    trainings = [model.training for model in run.config.models.values()]
    kinds = {kind for training in trainings for kind in used_kinds(training)}
    return kinds | ({"text"} if any(training.text for training in trainings) else set())


def extract_inputs(run: Run) -> None:
    """Make what the models are trained with beside pixels."""
    verbs = {"latents": extract_latents.extract, "tokens": extract_tokens.extract, "text": extract_text.extract}
    for kind in sorted(needed_inputs(run)):
        verbs[kind](run)


def score_difficulty(run: Run) -> None:
    """Make the scores that the methods of the run go by."""
    for kind in run.config.selection.score_kinds():
        score(run, kind)


STAGES = {
    "extract_features": extract,
    "score": score_difficulty,
    "select_subset": select_subset,
    "extract_inputs": extract_inputs,
    "train": train,
    "sample": sample,
    "evaluate": evaluate,
}


def run_all(run: Run) -> None:
    """Run every stage, then show the metrics, the times and where the report is."""
    for name, stage in STAGES.items():
        if (stage is extract_inputs and not needed_inputs(run)) or (stage is score_difficulty and not run.config.selection.score_kinds()):
            continue
        started = time.perf_counter()
        stage(run)
        log_stage(run, name, time.perf_counter() - started)
    print_table(run)
    print_stages(run)
    report(run)


if __name__ == "__main__":
    main("run", __doc__, run_all, forecast=forecast_run)
