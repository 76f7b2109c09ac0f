"""Checks of every file of a run: each module looks at the files of one kind, and changes nothing."""

from jobs.verification.evidence import Evidence, gather
from jobs.verification.features import check_features
from jobs.verification.files import Problem
from jobs.verification.representations import check_representations
from jobs.verification.scores import check_scores
from jobs.verification.subsets import check_manifests, check_selections
from jobs.verification.training import check_checkpoints, check_trainings

__all__ = [
    "Evidence",
    "Problem",
    "check_checkpoints",
    "check_features",
    "check_manifests",
    "check_representations",
    "check_scores",
    "check_selections",
    "check_trainings",
    "gather",
]
