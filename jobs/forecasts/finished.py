"""What of each stage an earlier start has finished, by the names of the files of a run.

The run itself compares fingerprints too: what was made from images that have changed since is made
again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from jobs.command.wording import EARLIER
from jobs.run_directory.groups import selection_groups, unit_word
from jobs.run_directory.results import subset_quality_file
from jobs.run_directory.run import Run
from otcondense.counts import counted
from otcondense.diffusion.checkpoint_files import list_checkpoints
from otcondense.encoders import EncoderConfig
from otcondense.errors import MissingInputError
from otcondense.forecast.stages import Stage
from otcondense.store import class_files, groups_file, selection_file


@dataclass(frozen=True)
class Finished:
    """How much of a stage is there."""

    parts: int
    total: int
    noun: str
    """What the parts are, for one."""

    @property
    def is_all(self) -> bool:
        """Whether nothing is left."""
        return self.parts >= self.total > 0

    @property
    def text(self) -> str:
        """What is there, in words; empty for nothing."""
        if self.is_all:
            return f"{EARLIER}, skipped if its images are unchanged"
        if not self.parts:
            return ""
        return f"{self.parts:,} of {counted(self.total, self.noun)} {EARLIER}; for the rest:"

    def rest(self, stage: Stage) -> Stage:
        """Return the stage with the time of what is left."""
        left = 1 - min(1.0, self.parts / max(1, self.total))
        terms = tuple(replace(term, seconds=left * term.seconds) for term in stage.terms)
        return replace(stage, terms=terms)


NOTHING = Finished(0, 0, "")
"""Of a stage that tells nothing of its results before it starts."""


def finished_features(run: Run, encoder: EncoderConfig, classes: Sequence[str]) -> Finished:
    """Return how many classes have features of a network."""
    return finished_files(run, run.features_directory(encoder), classes)


def finished_files(run: Run, directory: str, classes: Sequence[str]) -> Finished:
    """Return how many classes have all their files in a directory."""
    is_there = [_is_extracted(run, directory, name) for name in classes]
    return Finished(sum(is_there), len(is_there), "class")


def finished_part(run: Run, stage: Stage, classes: Sequence[str]) -> Finished:
    """Return how much of a later stage is there."""
    find = _BY_STAGE.get(stage.name)
    return NOTHING if find is None else find(run, stage, classes)


def _is_extracted(run: Run, directory: str, name: str) -> bool:
    """Tell whether the features of a class are there, in all its files."""
    return all(map(run.store.exists, class_files(run.store, directory, name)))


def _there(run: Run, files: Sequence[str], noun: str) -> Finished:
    return Finished(sum(map(run.store.exists, files)), len(files), noun)


def _grouped(run: Run, _: Stage, __: Sequence[str]) -> Finished:
    directory = run.groups_directory()
    assert directory is not None, "the stage is part of the run"
    return _there(run, [groups_file(directory)], "table")


def _selected(run: Run, stage: Stage, classes: Sequence[str]) -> Finished:
    (subset,) = stage.subject
    directory = run.selection_directory(subset)
    names = classes if run.config.groups is None else _groups(run)
    files = [selection_file(directory, name) for name in names]
    return _there(run, files, unit_word(run.config))


def _groups(run: Run) -> list[str]:
    """Return the names of the groups; none before the images are grouped."""
    try:
        return list(selection_groups(run).sizes)
    except MissingInputError:
        return []


def _trained(run: Run, stage: Stage, _: Sequence[str]) -> Finished:
    model, subset = stage.subject
    training = run.config.models[model].training
    written = list_checkpoints(run.store, run.training_directory(model, subset))
    if set(training.kept_steps) <= set(written):
        return Finished(training.num_steps, training.num_steps, "step")
    return Finished(max(written, default=0), training.num_steps, "step")


def _sampled(run: Run, stage: Stage, _: Sequence[str]) -> Finished:
    (name,) = stage.subject
    sampling = run.config.models[name].sampling
    each = -(-sampling.num_samples // sampling.batch_size)
    places = [
        run.samples_directory(*checkpoint)
        for checkpoint in run.checkpoints()
        if checkpoint[0] == name
    ]
    parts = sum(min(each, len(run.store.list(place))) for place in places)
    return Finished(parts, each * len(places), "batch")


def _measured(run: Run, _: Stage, __: Sequence[str]) -> Finished:
    trained = {method for _, method in run.trainings()}
    files = [subset_quality_file(run, each) for each in sorted(trained)]
    files += [run.metrics_file(*checkpoint) for checkpoint in run.checkpoints()]
    return _there(run, files, "set")


_BY_STAGE: Mapping[str, Callable[[Run, Stage, Sequence[str]], Finished]] = {
    "group": _grouped,
    "select_subset": _selected,
    "train": _trained,
    "sample": _sampled,
    "evaluate": _measured,
}
"""How each stage is looked for; those of latents, tokens and text are forecast as if new."""
