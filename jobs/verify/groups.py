"""Groups: computed from the current features, and the table agrees with the files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from jobs.verify.evidence import Evidence, known
from jobs.verify.files import MISSING, Problem
from otcondense.store import GroupTable, groups_file, read_groups

if TYPE_CHECKING:
    from pipeline.group_plan import GroupPlan


def check_groups(evidence: Evidence) -> Iterator[Problem]:
    """Check the groups of a run whose grouping has started.

    An unfinished grouping has no table yet. That is a problem only if a later stage needs it.
    """
    run = evidence.run
    directory = run.groups_directory()
    if directory is None:
        return
    is_selected = any(
        run.store.exists(run.manifest(method)) for method in run.config.selection.subsets
    )
    if not is_selected and not evidence.has_any(directory):
        return
    name = groups_file(directory)
    if not run.store.exists(name):
        yield Problem(name, MISSING)
        return
    from jobs.work_units.groups import group_plan

    plan = known("groups", lambda: group_plan(run))
    if plan is None or name not in evidence.facts:
        return
    problems = list(evidence.check(name, plan.fingerprint))
    yield from problems
    if not problems:
        yield from _check_files(evidence, plan, read_groups(run.store, directory))


def _check_files(evidence: Evidence, plan: GroupPlan, table: GroupTable) -> Iterator[Problem]:
    """Check the files of every group against the table, and that there are no others."""
    from pipeline.grouping import expected_files

    expected = set()
    for name, fingerprint, size in expected_files(plan, table):
        expected.add(name)
        yield from evidence.check(name, fingerprint)
        facts = evidence.facts.get(name)
        if facts is not None and facts.rows != size:
            yield Problem(name, f"{facts.rows} images, the table of groups has {size}")
    for name in sorted(evidence.facts):
        if name.startswith(f"{plan.directory}/class_name=") and name not in expected:
            yield Problem(name, "it is no group of the table of groups")
