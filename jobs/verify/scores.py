"""Difficulty scores: made from the features, the images and the model that are there now."""

from collections.abc import Iterator

from jobs.verify.evidence import Evidence, known
from jobs.verify.files import Problem
from jobs.work_units.scores import score_fingerprints
from otcondense.store import class_file

VERB = "score"


def check_scores(evidence: Evidence) -> Iterator[Problem]:
    """Check the scores that the methods of the run go by, for every class of the source."""
    run, names = evidence.run, sorted(evidence.images)
    for kind in run.config.selection.score_kinds():
        directory = run.scores_directory(kind)
        if evidence.has_any(directory):
            expected = known(
                f"scores of kind {kind}", lambda kind=kind: score_fingerprints(run, kind, names)
            )  # type: ignore[misc]
            for name, mark in (expected or {}).items():
                yield from evidence.check(class_file(directory, name), VERB, mark)
