"""The forecast of all stages of a run, in their order."""

from dataclasses import replace

from jobs.forecasts.image_stages import SourceFacts, feature_stage, input_stages, subset_stage
from jobs.forecasts.model_stages import (
    evaluation_stages,
    model_stage,
    sampling_stages,
    trainings_at_once,
)
from jobs.run_directory.config import RunConfig
from otcondense.forecast.hardware import Hardware
from otcondense.forecast.stages import Stage


def run_stages(config: RunConfig, facts: SourceFacts, hardware: Hardware) -> list[Stage]:
    """Return every stage of a run but the report, which takes seconds.

    Raises: InputError if there is no such network, or a budget does not fit the classes.
    """
    features = [feature_stage(config, each, facts, hardware) for each in config.encoders]
    return features + later_stages(config, facts, hardware)


def later_stages(config: RunConfig, facts: SourceFacts, hardware: Hardware) -> list[Stage]:
    """Return the stages after the features.

    Difficulty scores, and classifiers that a run trains, are not forecast.

    Raises: as `run_stages`.
    """
    stages = []
    for method in config.selection.methods:
        subset = config.selection.subsets_of(method)[-1]
        stages.append(subset_stage(config, subset, facts, hardware))
    stages += input_stages(config, facts, hardware)
    classes = len(facts.sizes)
    at_once = trainings_at_once(config, hardware)
    for number, (model, name) in enumerate(config.trainings):
        stage = model_stage(config, model, name, classes, hardware)
        stages.append(replace(stage, beside=number % at_once > 0))
    stages += sampling_stages(config, facts, hardware)
    stages += evaluation_stages(config, facts, hardware)
    return stages
