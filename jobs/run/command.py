"""All stages of a run, one after another."""

import time
from contextlib import suppress

from jobs.answers.read import read_answer
from jobs.evaluate.table import print_table
from jobs.requirements.compiler import check_compiler
from jobs.requirements.present import check_weights
from jobs.run_directory.run import Run
from jobs.run_directory.stage_log import log_stage, print_stages
from jobs.run_directory.stages import Stage, stages_of
from jobs.trackers.tracking import stage_shown
from otcondense.report.answer import answer_lines


def run_all(run: Run) -> None:
    """Run every stage, the report last, and print what was found; finished work is skipped.

    Raises: InputError before the first stage if a training could not be compiled on this machine,
        or if weights are missing.
    """
    check_compiler(run)
    check_weights(run)
    for stage in stages_of(run.config):
        if stage.name == "report":
            print_table(run)
            print_stages(run)
        _run_stage(run, stage)
    print("\n" + "\n".join(answer_lines(read_answer(run))))


def _run_stage(run: Run, stage: Stage) -> None:
    """Run a stage and log its time, also if it is interrupted or fails."""
    started = time.perf_counter()
    with stage_shown(stage.name):
        try:
            stage.run(run)
        except BaseException:
            with suppress(Exception):  # the stage's own error is what matters
                log_stage(run, stage.name, time.perf_counter() - started)
            raise
        log_stage(run, stage.name, time.perf_counter() - started)
