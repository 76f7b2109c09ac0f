"""The forecast of all stages of a run, in their order."""

from collections.abc import Iterator
from dataclasses import replace

from jobs.forecasts.caption_stages import caption_forecasts
from jobs.forecasts.group_stage import group_stages
from jobs.forecasts.image_stages import SourceFacts, feature_stage, input_stages
from jobs.forecasts.model_stages import (
    evaluation_stages,
    model_stage,
    sampling_stages,
    trainings_at_once,
    trains_here,
)
from jobs.forecasts.subset_stage import subset_stage
from jobs.run_directory.config import RunConfig
from otcondense.forecast.hardware import Hardware
from otcondense.forecast.stages import Stage


def run_stages(config: RunConfig, facts: SourceFacts, hardware: Hardware) -> list[Stage]:
    """Return every stage of a run but the report, which takes seconds.

    Raises: InputError if there is no such network, or a budget does not fit the classes.
    """
    features = [feature_stage(config, each, facts, hardware) for each in config.extracting]
    features += [each.stage for each in caption_forecasts(config, facts, hardware)]
    return features + later_stages(config, facts, hardware)


def later_stages(config: RunConfig, facts: SourceFacts, hardware: Hardware) -> list[Stage]:
    """Return the stages after the features.

    Difficulty scores, and classifiers that a run trains, are not forecast.

    Raises: as `run_stages`.
    """
    stages = list(group_stages(config, facts, hardware))
    for method in config.selection.methods:
        subset = config.selection.subsets_of(method)[-1]
        stages.append(subset_stage(config, subset, facts, hardware))
    stages += input_stages(config, facts, hardware)
    stages += _trainings(config, len(facts.sizes), hardware)
    stages += sampling_stages(config, facts, hardware)
    stages += evaluation_stages(config, facts, hardware)
    return stages


def _trainings(config: RunConfig, classes: int, hardware: Hardware) -> Iterator[Stage]:
    """Yield the trainings: those of this process one after another, then those by workers."""
    here = [pair for pair in config.trainings if trains_here(config, pair[0])]
    for model, subset in here:
        yield model_stage(config, model, subset, classes, hardware)
    at_once = trainings_at_once(config, hardware)
    by_workers = [pair for pair in config.trainings if pair not in here]
    for number, (model, subset) in enumerate(by_workers):
        stage = model_stage(config, model, subset, classes, hardware)
        yield replace(stage, beside=number % at_once > 0)
