"""Which objectives the report draws, and what it says of the others."""

from dataclasses import replace

from jobs.report.histories import HISTORY_CLASSES, histories, histories_note
from jobs.run_directory.run import Run
from otcondense.store import ClassSelection, read_class_selection


def without_steps(selection: ClassSelection, name: str) -> ClassSelection:
    """Return the selection of a class that was taken whole."""
    summary = replace(selection.summary, history=(), diagnostics={"take_all": True})
    return replace(selection, class_name=name, summary=summary)


def test_the_report_says_which_objectives_it_does_not_draw_and_why(run: Run) -> None:
    found = {
        method: read_class_selection(run.store, run.selection_directory(method), "ant")
        for method in ("geometry_aware", "random")
    }
    whole = [without_steps(each, "rare") for each in found.values()]
    selections = {
        method: [each, taken, *[each] * HISTORY_CLASSES]
        for (method, each), taken in zip(found.items(), whole, strict=True)
    }
    assert [each.class_name for each in histories(selections)] == ["ant"] * (HISTORY_CLASSES - 1)
    assert histories_note(selections, "class") == (
        f"The first {HISTORY_CLASSES} of {HISTORY_CLASSES + 2} classes; the page has all of them. "
        "random follows no objective that could be drawn. Taken whole, without a step: rare."
    )
    assert histories_note({"geometry_aware": [found["geometry_aware"]]}, "class") == ""
