"""Group the images of a run: `otcondense group`."""

from statistics import median

from jobs.cluster.start import start_ray
from jobs.command.progress import Progress, note
from jobs.command.wording import EARLIER
from jobs.run_directory.bars import GROUP_BAR
from jobs.run_directory.run import Run
from jobs.work_units.groups import group_plan
from otcondense.counts import counted
from otcondense.store import GroupTable
from pipeline.group_crew import GroupCrew, Here, OnCluster
from pipeline.group_plan import GroupPlan
from pipeline.grouping import GroupingResult, make_groups


def group(run: Run) -> None:
    """Write the groups of the images, their features, and the table of all groups.

    Raises: InputError or MissingInputError if features, confidences or scores are missing, damaged
        or cannot be grouped.
    """
    plan = group_plan(run)
    with Progress(run.store, *GROUP_BAR) as progress:
        result = make_groups(plan, lambda: _crew(run, plan), progress.show)
    for sentence in sentences(result, plan):
        note(GROUP_BAR.title, sentence)


def _crew(run: Run, plan: GroupPlan) -> GroupCrew:
    extraction = run.config.extraction
    if not extraction.uses_cluster:
        return Here(plan)
    start_ray()
    return OnCluster(plan, extraction, run.config.cluster)


def sentences(result: GroupingResult, plan: GroupPlan) -> list[str]:
    """Return what the end of the stage says."""
    table = result.table
    groups = counted(len(table.names), "group")
    ending = f", {EARLIER}" if result.is_earlier else ""
    found = [f"{counted(sum(table.sizes), 'image')} in {groups}{_range(table)}{ending}"]
    single = len(set(table.class_names) & set(table.names))
    if plan.config.labels == "keep" and single:
        found.append(f"{single:,} of {counted(len(plan.roots), 'class')} are one group each")
    if table.cut:
        found.append(
            f"{counted(table.cut, 'image')} are copies, by their features, that do not fit into "
            f"one group of {plan.config.most:,}: they are in several in the order of their ids, "
            "and each of these groups gives one or more of them"
        )
    return found


def _range(table: GroupTable) -> str:
    """Return the sizes of the groups in words."""
    least, most = min(table.sizes), max(table.sizes)
    if least == most:
        return f" of {counted(most, 'image')}"
    return f" of {least:,} to {counted(most, 'image')} (median {int(median(table.sizes)):,})"
