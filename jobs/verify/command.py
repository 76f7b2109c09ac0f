"""Check every file of a run: `python -m jobs.verify RUN`."""

from collections.abc import Iterable

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
    """Return the problems of the files of a run, sorted by file; it changes nothing.

    A stage that has not started is no problem, unless a later stage has started. For a file that is
    damaged, only the damage is reported.
    """
    evidence = gather(run)
    problems = [*evidence.damaged, *check_checkpoints(run)]

    checks = (
        check_features(evidence),
        check_scores(evidence),
        check_selections(evidence),
        check_representations(evidence),
        check_trainings(run),
    )
    damaged = _files(problems)
    for check in checks:
        problems += [problem for problem in check if problem.file not in damaged]

    broken = _files(problems)
    manifests = check_manifests(evidence, broken)
    problems += [problem for problem in manifests if problem.file not in broken]
    return sorted(set(problems), key=lambda problem: (problem.file, problem.found))


def _files(problems: Iterable[Problem]) -> set[str]:
    return {problem.file for problem in problems}


def verify_directory(directory: str | None, config: str | None, overrides: list[str]) -> int:
    """Print one line for each problem of a run.

    Args:
        directory: run directory; None uses the one in the configuration.
        config: configuration file to check the run against; None uses the run's own config.yaml.
        overrides: `key=value` pairs for the configuration file.

    Returns: the exit status: `PROBLEMS` if there are any.
    Raises: InputError if neither a directory nor a configuration file is given, or overrides
        without one.
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
    if overrides:
        raise InputError(
            f"settings such as {overrides[0]} need the configuration file that they override; "
            "name it with --config FILE"
        )
    if directory is None:
        raise InputError("name a run directory, or its configuration file with --config")
    return read_run(directory)
