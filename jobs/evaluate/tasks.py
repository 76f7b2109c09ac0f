"""The metrics of one set of images, from features in the run directory, on any device."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int

from jobs.evaluate.losses import LossFiles
from otcondense.evaluation import (
    EncodedImages,
    EvaluationConfig,
    JudgedSets,
    Metrics,
    class_frechet_distances,
    compute_group,
    judged_figures,
    judged_subset,
    read_reference,
    rounded_values,
)
from otcondense.store import Store
from pipeline.judged_parts import read_parts
from pipeline.judged_sets import StoredFeatures
from pipeline.judges import JudgeConfig


@dataclass(frozen=True)
class NetworkFiles:
    """The features of all sets of one measurement through one network."""

    judge: JudgeConfig
    held_out: StoredFeatures
    chosen: StoredFeatures | None
    samples: tuple[str, ...] = ()
    """Files of the samples; a subset has none."""
    reference: tuple[str, ...] = ()
    """Files of the images of ADM's reference."""

    def read(self, store: Store) -> JudgedSets:
        """Return the features; without samples the chosen images are in their place.

        Raises: InputError if a file is missing or damaged; the next start encodes it again.
        """
        chosen = None if self.chosen is None else _plain(self.chosen, store)
        samples = read_parts(store, self.samples) if self.samples else chosen
        assert samples is not None, "a measurement has samples or chosen images"
        return JudgedSets(
            network=self.judge,
            samples=samples,
            held_out=_plain(self.held_out, store),
            training=chosen if self.samples else None,
            reference=read_parts(store, self.reference) if self.reference else None,
        )


def _plain(stored: StoredFeatures, store: Store) -> EncodedImages:
    return EncodedImages(stored.read(store), None)


@dataclass(frozen=True)
class SubsetTask:
    """The metrics of a subset itself."""

    root: str
    main: NetworkFiles
    further: Mapping[str, NetworkFiles]
    settings: EvaluationConfig

    def __call__(self, device: torch.device) -> dict[str, float]:
        """Return the metrics by name."""
        store = Store(self.root)
        further = {name: each.read(store).to(device) for name, each in self.further.items()}
        return judged_subset(self.main.read(store).to(device), further, self.settings)


@dataclass(frozen=True)
class SampleFigures:
    """The metrics of the samples of a checkpoint."""

    main: Metrics
    values: dict[str, float]
    """All metrics by name."""
    by_class: dict[int, float]
    """Fréchet distance of each class by its number."""


@dataclass(frozen=True)
class SampleTask:
    """The metrics of the samples of a checkpoint."""

    root: str
    main: NetworkFiles
    further: Mapping[str, NetworkFiles]
    reference: str | None
    """Path of ADM's reference."""
    settings: EvaluationConfig
    classes: Int[np.ndarray, " n"]
    """Of the samples."""
    held_out_classes: Int[np.ndarray, " m"]
    losses: LossFiles | None = None
    """What the denoising losses are made from; None leaves them out."""

    def __call__(self, device: torch.device) -> SampleFigures:
        """Return the metrics."""
        store = Store(self.root)
        main = self.main.read(store).to(device)
        further = {name: each.read(store).to(device) for name, each in self.further.items()}
        reference = None if self.reference is None else read_reference(self.reference)
        figures = judged_figures(main, further, reference, self.settings)
        assert figures.main is not None, "a run is evaluated against held-out images"
        assert main.held_out is not None
        distances = class_frechet_distances(
            main.samples.features,
            self.classes,
            main.held_out.features,
            self.held_out_classes,
        )
        values = {**figures.main.values, **figures.adm, **figures.further}
        values |= self._losses(store, device)
        return SampleFigures(figures.main, rounded_values(values), dict(distances))

    def _losses(self, store: Store, device: torch.device) -> dict[str, float]:
        losses = None if self.losses is None else self.losses.measure(store, device)
        return {} if losses is None else compute_group("denoising", losses)
