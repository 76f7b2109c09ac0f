"""The lines of `--dry-run`."""

from collections.abc import Sequence

from jobs.command.progress import note
from otcondense.durations import duration
from otcondense.forecast.hardware import Hardware
from otcondense.forecast.stages import Stage, Term, total_cost, total_seconds


def print_time(stage: Stage, hardware: Hardware) -> None:
    """Print the time of a stage, its parts and its cost."""
    time = f"about {duration(stage.seconds)} on {stage.workers.text}"
    if stage.beside:
        time += " beside the training before it"
    note("", f"time: {time} ({_parts(stage.terms)}){_price(stage, hardware)}")


def _parts(terms: Sequence[Term]) -> str:
    shown = [f"{term.name} {duration(term.seconds)}" for term in terms if not term.hidden]
    hidden = [f"{term.name} {duration(term.seconds)}" for term in terms if term.hidden]
    beside = f"; beside it {', '.join(hidden)}" if hidden else ""
    return ", ".join(shown) + beside


def _price(stage: Stage, hardware: Hardware) -> str:
    return f", cost {stage.cost(hardware):.2f}" if hardware.gpus else ""


def print_total(stages: Sequence[Stage], hardware: Hardware) -> None:
    """Print time and cost of all stages, one after another."""
    cost = f", cost {total_cost(stages, hardware):.2f}" if hardware.gpus else ""
    note("all stages", f"about {duration(total_seconds(stages))}{cost}")
    note(
        "",
        "not counted: start of nodes and processes, compiling, difficulty scores, classifiers "
        "trained by the run, confidences of a probe, search of other methods than geometry_aware, "
        "the report",
    )
