"""All metrics of a measurement from the outputs of its networks, on the device of the outputs."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from otcondense.evaluation.adm import AdmSamples, adm_metrics
from otcondense.evaluation.adm_files import AdmReference
from otcondense.evaluation.encoding import EncodedImages, Network
from otcondense.evaluation.evaluation_config import EvaluationConfig
from otcondense.evaluation.metrics import (
    Metrics,
    evaluate_encoded,
    further_metrics,
    subset_quality,
)

COUNT_PREFIX = "num_"
"""Prefix of the values of a subset that count images; they are the same for all judges."""


@dataclass(frozen=True)
class JudgedSets:
    """The outputs of one network for the sets of a measurement; None skips metrics."""

    network: Network
    samples: EncodedImages
    """Samples, or the images of a subset."""
    held_out: EncodedImages | None
    training: EncodedImages | None = None
    """Images that the model was trained on."""
    reference: EncodedImages | None = None
    """Images of ADM's reference."""

    def to(self, device: torch.device) -> "JudgedSets":
        """Return the outputs on a device."""
        sets = (self.held_out, self.training, self.reference)
        moved = [None if each is None else each.to(device) for each in sets]
        return JudgedSets(self.network, self.samples.to(device), *moved)


@dataclass(frozen=True)
class Figures:
    """All metrics of a set of samples."""

    samples: EncodedImages
    """Outputs of the main network."""
    main: Metrics | None
    """Through the main network; None without held-out images."""
    adm: Mapping[str, float]
    """By ADM's protocol; empty without a reference."""
    further: Mapping[str, float]
    """Through further networks, as JUDGE.METRIC; empty without held-out images."""


def judged_figures(
    main: JudgedSets,
    further: Mapping[str, JudgedSets],
    reference: AdmReference | None,
    config: EvaluationConfig,
) -> Figures:
    """Return all metrics of samples.

    Args:
        main: of the main network; Inception if there is a reference.
        further: of further networks by name.
        reference: statistics of ADM's reference.
        config: settings of the metrics.

    Raises: InputError for too few images.
    """
    metrics = None
    others: dict[str, float] = {}
    if main.held_out is not None:
        metrics = evaluate_encoded(
            main.samples, main.held_out, main.network, config, training=main.training
        )
        for name, sets in further.items():
            others |= {f"{name}.{key}": value for key, value in _further(sets, config).items()}
    adm = {} if reference is None else _adm(main, reference, half=config.reference_half)
    return Figures(main.samples, metrics, adm, others)


def _further(sets: JudgedSets, config: EvaluationConfig) -> dict[str, float]:
    assert sets.held_out is not None
    return further_metrics(sets.samples.features, sets.held_out.features, config)


def _adm(sets: JudgedSets, reference: AdmReference, *, half: bool) -> dict[str, float]:
    samples = sets.samples
    assert samples.logits is not None, "Inception has a classifier"
    assert sets.reference is not None, "the images of a reference are encoded"
    outputs = AdmSamples(samples.features, samples.logits, samples.spatial)
    return adm_metrics(outputs, reference, sets.reference.features, half=half)


def judged_subset(
    main: JudgedSets, further: Mapping[str, JudgedSets], config: EvaluationConfig
) -> dict[str, float]:
    """Return the metrics of a subset itself; through further networks as JUDGE.METRIC.

    Args:
        main: of the main network; the subset in the place of the samples.
        further: of further networks by name.
        config: settings of the metrics.

    Raises: InputError for too few images.
    """
    values = _subset(main, config)
    for name, sets in further.items():
        found = _subset(sets, config)
        metrics = {key: value for key, value in found.items() if not key.startswith(COUNT_PREFIX)}
        values |= {f"{name}.{key}": value for key, value in metrics.items()}
    return values


def _subset(sets: JudgedSets, config: EvaluationConfig) -> dict[str, float]:
    assert sets.held_out is not None
    return subset_quality(sets.samples.features, sets.held_out.features, config)
