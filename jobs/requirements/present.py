"""The check of a run's weights before its first stage: later stages come after hours."""

from jobs.requirements.weight_files import describe, find
from jobs.requirements.weights import Need, evaluation_needs, needs
from jobs.run_directory.config import RunConfig
from jobs.run_directory.run import Run
from otcondense.errors import InputError

PATH_MARKS = ("/", "~", ".")
"""First characters of a path; no name on the hub begins with one."""


def check_weights(run: Run) -> None:
    """Refuse a run with weights that are not there, or a text network that cannot be used.

    Nothing large is read or fetched. What is on the hub must be described there, unless it has been
    fetched; what a library fetches from its own address is not asked for.

    Raises: InputError naming what needs them.
    """
    config = run.config
    measured = list(evaluation_needs(config)) if _is_measured(run) else []
    for need in needs(config, sorted(config.training_inputs)):
        if need.images is None and not need.has_own_address and need not in measured:
            _check(need)
    _check_text_networks(config)


def _is_measured(run: Run) -> bool:
    """Tell whether all samples have their metrics: only new ones need Inception and reference."""
    return all(run.store.exists(run.metrics_file(*each)) for each in run.checkpoints())


def _check(need: Need) -> None:
    try:
        find(need)
    except InputError:
        if not need.is_on_hub:
            raise
        if need.place.startswith(PATH_MARKS):
            raise InputError(
                f"{need.used_for} needs {need.place}, found nothing there; correct the path"
            ) from None
        describe(need)


def _check_text_networks(config: RunConfig) -> None:
    """Check what reads class names or captions by its settings and its tokenizer."""
    if "text" in config.training_inputs:
        from otcondense.representations.text import check_text_model

        check_text_model(config.text)
    readers = [(each, False) for each in config.captioning]
    if config.confidence.aligning is not None:
        readers.append((config.confidence.aligning, True))
    for encoder, is_joint in readers:
        from otcondense.encoders.caption_model import check_caption_model

        check_caption_model(encoder, joint=is_joint)
