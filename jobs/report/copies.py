"""Copies and budgets, as the report shows them."""

from collections.abc import Iterator, Mapping

from jobs.run_directory.config import RunConfig
from jobs.run_directory.groups import budget_words
from otcondense.report import CopyRow
from otcondense.store import ClassSelection, CopyExample, CopySummary


def budget_facts(config: RunConfig) -> dict[str, str]:
    """Return the budgets of a configuration in words."""
    budgets = config.selection.budgets or (config.selection.budget,)
    return {"budget": "; ".join(budget_words(config, budget) for budget in budgets)}


def copy_rows(selections: Mapping[str, list[ClassSelection]]) -> Iterator[CopyRow]:
    """Yield the classes with copies or held-out images, each once: methods see the same ones."""
    shown: set[str] = set()
    for classes in selections.values():
        for each in classes:
            copies = each.summary.copies
            if each.class_name not in shown and (copies.groups or copies.held_out):
                shown.add(each.class_name)
                yield _row(each, copies)


def _row(selection: ClassSelection, copies: CopySummary) -> CopyRow:
    return CopyRow(
        class_name=selection.class_name,
        num_images=len(selection.image_ids),
        exact=copies.exact,
        near=copies.near,
        groups=copies.groups,
        threshold=copies.threshold,
        neighbour_distance=copies.neighbour_distance,
        held_out=copies.held_out,
        examples=tuple(map(_example, copies.examples)),
    )


def _example(example: CopyExample) -> str:
    others = ", ".join(example.copies)
    return (
        f"{example.leader} and {example.size - 1:,} more, such as {others} "
        f"(at most {example.distance:.3g} away)"
    )
