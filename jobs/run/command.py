"""All stages of a run, one after another."""

import time

from jobs.answers.read import read_answer
from jobs.evaluate.table import print_table
from jobs.requirements.compiler import check_compiler
from jobs.run_directory.run import Run
from jobs.run_directory.stage_log import log_stage, print_stages
from jobs.run_directory.stages import stages_of
from otcondense.report.answer import answer_lines


def run_all(run: Run) -> None:
    """Run every stage, the report last, and print what was found; finished work is skipped.

    Raises: InputError before the first stage if a training could not be compiled on this machine.
    """
    check_compiler(run)
    for stage in stages_of(run.config):
        if stage.name == "report":
            print_table(run)
            print_stages(run)
        started = time.perf_counter()
        stage.run(run)
        log_stage(run, stage.name, time.perf_counter() - started)
    print("\n" + "\n".join(answer_lines(read_answer(run))))
