"""`--dry-run` of a whole run: the work of each stage, with time, cost and memory."""

from jobs.command.progress import note
from jobs.command.wording import EARLIER
from jobs.extract_features.dry_run import feature_stages, forecast_features
from jobs.forecasts.finished import finished_part
from jobs.forecasts.known import Known
from jobs.forecasts.model_stages import training_size, training_workers
from jobs.forecasts.printing import print_time, print_total
from jobs.forecasts.run_stages import later_stages
from jobs.run_directory.budget_rules import resolve
from jobs.run_directory.budgets import in_numbers
from jobs.run_directory.groups import expected_units, expected_words, selected_sizes
from jobs.run_directory.run import Run
from otcondense.byte_sizes import byte_size
from otcondense.counts import counted
from otcondense.diffusion.forecast import TrainingForecast
from otcondense.forecast.measured import STEP_IMAGES
from otcondense.forecast.stages import Stage, total_seconds
from otcondense.selection.forecast import forecast

PETA = 1e15
GIGA = 1e9


def forecast_run(run: Run, on: str | None = None) -> None:
    """Print the work of a whole run; nothing is written.

    Args:
        run: the run.
        on: hardware, as `chosen_hardware` takes it.

    Raises: InputError as the stages do, for what cannot be used.
    """
    known = forecast_features(run, on)
    _print_selection(run, known)
    stages = [_print_stage(run, stage, known) for stage in _later(run, known)]
    if run.config.models and run.config.held_out is None:
        note("evaluate", "held_out is not configured, nothing is measured")
    every = [*feature_stages(run, known), *stages]
    if not total_seconds(every):
        note("all stages", EARLIER)
        return
    print_total(every, known.hardware)


def _later(run: Run, known: Known) -> list[Stage]:
    return later_stages(run.config, known.facts, known.hardware)


def _print_stage(run: Run, stage: Stage, known: Known) -> Stage:
    """Print the work of one stage; return it with the time of what is left of it."""
    note(stage.name, stage.title)
    finished = finished_part(run, stage, list(known.facts.sizes))
    if finished.text:
        note("", finished.text)
    rest = finished.rest(stage)
    if finished.is_all:
        return rest
    if stage.name == "train":
        _print_size(run, stage.subject[0], known)
    print_time(rest, known.hardware)
    return rest


def _print_selection(run: Run, known: Known) -> None:
    """Print the number of images to select for each budget, and the memory of a worker."""
    selection = run.config.selection
    sizes = selected_sizes(run.config, known.facts.sizes)
    for subset in selection.subsets_of(selection.methods[0]) if selection.methods else ():
        budgets = resolve(subset.budgets[-1], sizes)
        units = expected_units(run.config, sizes, budgets)
        largest = max(units, key=lambda unit: unit.size)
        memory = forecast(largest.size, 0, largest.budget).memory_bytes
        note(
            "select",
            f"{counted(len(selection.methods), 'method')}, "
            f"{expected_words(run.config, len(units))}, "
            f"{in_numbers(budgets, sizes)}; memory of a worker: {byte_size(memory)} and features",
        )


def _print_size(run: Run, model: str, known: Known) -> None:
    """Print parameters and memory of a training, and whether it fits."""
    training = run.config.models[model].training
    workers = training_workers(training, known.hardware)
    classes = len(known.facts.sizes)
    found: TrainingForecast = training_size(run.config, training, classes, int(workers.count))
    note("", f"{found.text}; {found.flops / PETA:.3g} PFLOP")
    each = training.global_batch_size / workers.count
    if workers.on_gpus and each < STEP_IMAGES:
        note("", f"the speed was measured with {STEP_IMAGES} images on a GPU, this has {each:g}")
    room = known.hardware.gpu_memory_gb * GIGA
    if workers.on_gpus and found.device_bytes > room:
        note("", f"a GPU has {byte_size(room)}: raise accumulation or num_workers")
