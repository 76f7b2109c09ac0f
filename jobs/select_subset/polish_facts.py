"""What polishing has improved, in words."""

from collections.abc import Iterable, Iterator

from actors.polish_unit import POLISH, PolishUnit
from jobs.run_directory.groups import ignores_labels
from jobs.run_directory.run import Run
from otcondense.counts import counted
from otcondense.store import stored_summary


def polish_facts(run: Run, units: Iterable[PolishUnit]) -> Iterator[str]:
    """Yield a sentence for each subset: the statistics terms of whole classes, before and after.

    Args:
        run: the run.
        units: finished units of polishing.
    """
    found: dict[str, list[tuple[int, float, float]]] = {}
    for unit in units:
        if len(unit.results) > 1:
            found.setdefault(unit.subset, []).append((unit.size, *_statistics(run, unit)))
    for subset, classes in found.items():
        total = sum(size for size, _, _ in classes)
        before = sum(size * value for size, value, _ in classes) / total
        after = sum(size * value for size, _, value in classes) / total
        of = "the class" if len(classes) == 1 else f"{counted(len(classes), 'class')} (mean)"
        of = "all images" if ignores_labels(run.config) else of
        change = f"from {before:.4g} to {after:.4g}"
        yield (
            f"{subset}: polishing took the statistics term of {of} {change}; the gap counts that "
            "of each group by itself, so it can be larger than without polishing"
        )


def _statistics(run: Run, unit: PolishUnit) -> tuple[float, float]:
    """Return the statistics term of the whole class before and after, as each file has it."""
    result = unit.results[0]
    summary = stored_summary(run.store, result.directory, result.class_name)
    assert summary is not None, "the unit is finished"
    facts = summary.diagnostics[POLISH]
    assert isinstance(facts, dict)
    return float(facts["whole_statistics_before"]), float(facts["whole_statistics"])
