"""The plan of the groups of a run, from its configuration and the features that are there."""

from jobs.run_directory.listing import run_listing
from jobs.run_directory.run import Run
from otcondense.errors import InputError
from otcondense.store import fingerprint
from pipeline.group_plan import GroupInputs, GroupPlan, plan_groups


def group_plan(run: Run) -> GroupPlan:
    """Return the grouping of a run.

    Raises: InputError if the configuration has no groups, or features cannot be compared;
        MissingInputError if features, confidences or scores are missing.
    """
    config = run.config.groups
    directory = run.groups_directory()
    if config is None or directory is None:
        raise InputError(
            "`otcondense group` needs the setting groups, found null; set groups.most to the "
            "largest number of images that a selection is to see"
        )
    kinds = {run.difficulty_directory(method) for method in run.config.selection.methods}
    inputs = GroupInputs(
        store_root=run.store.root,
        view=run.features_view(),
        confidences=run.confidence_directory(),
        difficulties=tuple(sorted(kind for kind in kinds if kind is not None)),
    )
    names = run_listing(run).names
    return plan_groups(inputs, directory, names, config, fingerprint(run.groups_key()))
