"""Difficulty scores: computed from the current features, images and scoring model."""

from collections.abc import Iterator
from functools import partial

from jobs.verify.evidence import Evidence, known
from jobs.verify.files import Problem
from otcondense.datasets import order_classes
from otcondense.store import class_file


def check_scores(evidence: Evidence) -> Iterator[Problem]:
    """Check the scores that the methods of the run use, for every class of the source."""
    run = evidence.run
    names = order_classes(evidence.images)
    for kind in run.config.selection.score_kinds():
        directory = run.scores_directory(kind)
        if not evidence.has_any(directory):
            continue
        from jobs.work_units.scores import score_fingerprints

        compute = partial(score_fingerprints, run, kind, names)
        expected = known(f"scores of kind {kind}", compute) or {}
        for name, fingerprint in expected.items():
            yield from evidence.check(class_file(directory, name), fingerprint)
