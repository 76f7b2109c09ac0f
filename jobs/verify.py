"""Check every file of a run against its digest, its inputs and its neighbours: `python -m jobs.verify RUN`."""

import argparse
import sys
from collections.abc import Sequence

from jobs.cli import MISTAKE
from jobs.progress import note
from jobs.run_directory import Run, read_run
from jobs.settings import load_config
from jobs.verification import (
    Problem,
    check_checkpoints,
    check_features,
    check_manifests,
    check_representations,
    check_scores,
    check_selections,
    check_trainings,
    gather,
)
from otcondense.errors import InputError

PROBLEMS = 1


def verify(run: Run) -> list[Problem]:
    """Return what is wrong with the files of a run, sorted by file; it changes nothing.

    A stage that has not been started is no problem, unless a later one has. Of a file that is damaged by itself nothing more is said.
    """
    evidence = gather(run)
    problems = [*evidence.damaged, *check_checkpoints(run)]
    broken = {problem.file for problem in problems}
    checks = (
        check_features(evidence),
        check_scores(evidence),
        check_selections(evidence),
        check_representations(evidence),
        check_trainings(run),
    )
    problems += [problem for check in checks for problem in check if problem.file not in broken]
    broken = {problem.file for problem in problems}
    problems += [problem for problem in check_manifests(evidence, broken) if problem.file not in broken]
    return sorted(set(problems), key=lambda problem: (problem.file, problem.found))


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one line for each problem and leave the process: 0 none, 1 some, 2 a mistake of the user's."""
    parser = argparse.ArgumentParser(prog="python -m jobs.verify", description=__doc__)
    parser.add_argument("run", nargs="?", help="directory of the run; it is checked against its own config.yaml")
    parser.add_argument("--config", help="configuration file to check the run against, in place of its own")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings that override the configuration file's")
    options = parser.parse_intermixed_args(arguments)
    try:
        if options.config is None and options.run is None:
            raise InputError("name the directory of a run, or its configuration file with --config")
        run = read_run(options.run) if options.config is None else Run(load_config(options.config, options.overrides, options.run))
        problems = verify(run)
    except InputError as error:
        print(f"\nerror: {error}", file=sys.stderr)
        sys.exit(MISTAKE)
    for problem in problems:
        print(problem)
    note("verify", f"{len(run.store.list())} files, {len(problems)} problems")
    if problems:
        sys.exit(PROBLEMS)


if __name__ == "__main__":
    main()
