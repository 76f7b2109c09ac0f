"""Check every file of a run: `otcondense verify RUN`."""

from collections.abc import Iterable

from jobs.command.exit import DONE, PROBLEMS
from jobs.command.progress import note
from jobs.run_directory.run import Run
from jobs.verify.evidence import gather
from jobs.verify.features import check_features
from jobs.verify.files import Problem
from jobs.verify.groups import check_groups
from jobs.verify.representations import check_representations
from jobs.verify.scores import check_scores
from jobs.verify.subsets import check_manifests, check_selections
from jobs.verify.training import check_checkpoints, check_trainings
from otcondense.counts import counted


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
        check_groups(evidence),
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


def verify_run(run: Run) -> int:
    """Print one line for each problem of a run.

    Returns: the exit status: `PROBLEMS` if there are any.
    """
    problems = verify(run)
    for problem in problems:
        print(problem)
    note("verify", f"{counted(len(run.store.list()), 'file')}, {counted(len(problems), 'problem')}")
    return PROBLEMS if problems else DONE
