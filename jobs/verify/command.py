"""Check every file of a run against its digest, its inputs and its neighbours: `python -m jobs.verify RUN`."""

from jobs.command.exit import DONE, PROBLEMS
from jobs.command.progress import note
from jobs.command.settings import load_config
from jobs.run_directory.opening import read_run
from jobs.run_directory.run import Run
from jobs.verify.evidence import gather
from jobs.verify.features import check_features
from jobs.verify.files import Problem
from jobs.verify.representations import check_representations
from jobs.verify.scores import check_scores
from jobs.verify.subsets import check_manifests, check_selections
from jobs.verify.training import check_checkpoints, check_trainings
from otcondense.errors import InputError


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
    problems += [
        problem for problem in check_manifests(evidence, broken) if problem.file not in broken
    ]
    return sorted(set(problems), key=lambda problem: (problem.file, problem.found))


def verify_directory(directory: str | None, config: str | None, overrides: list[str]) -> int:
    """Print one line for each problem of a run.

    Args:
        directory: run directory; None takes the configuration's.
        config: configuration file to check the run against; None takes the run's own config.yaml.
        overrides: `key=value` pairs for the configuration file.

    Returns: the exit status: `PROBLEMS` if there are any.
    Raises: InputError if neither a directory nor a configuration file is given.
    """
    run = _run_of(directory, config, overrides)
    problems = verify(run)
    for problem in problems:
        print(problem)
    note("verify", f"{len(run.store.list())} files, {len(problems)} problems")
    return PROBLEMS if problems else DONE


def _run_of(directory: str | None, config: str | None, overrides: list[str]) -> Run:
    if config is not None:
        return Run(load_config(config, overrides, directory))
    if directory is None:
        raise InputError("name a run directory, or its configuration file with --config")
    return read_run(directory)
