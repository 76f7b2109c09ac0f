"""Measure any images against any others, without a run: `python -m jobs.measure samples=FILE against=FOLDER [key=value]`."""

import argparse
import json
from pathlib import Path
from typing import Any

from jobs.command.settings import build, read_values
from jobs.measure.config import MeasureConfig
from jobs.measure.gauge import Gauge, ImageSet, check_sizes, further_gauge, gauge
from otcondense.evaluation import (
    METRICS_VERSION,
    AdmSamples,
    EncodedImages,
    adm_metrics,
    evaluate_encoded,
    further_metrics,
    read_reference,
)
from otcondense.store import Store


def measure(config: MeasureConfig) -> dict[str, Any]:
    """Return all figures of a set of images, with what each was made from.

    Raises: InputError for images, statistics or weights that are missing or do not fit.
    """
    samples, main = ImageSet(config.samples), gauge(config)
    encoded = main.encode(samples)
    record = (
        _against(config, main, encoded)
        if config.against is not None
        else _facts(config, main, encoded)
    )
    if config.evaluation.reference is not None:
        record["values"].update(_by_adm(config, main, samples, encoded))
    for name, judge in config.judges.items():
        other = further_gauge(judge, config)
        record["judges"] = {
            **record.get("judges", {}),
            name: {"encoder": judge.name, "encoder_sha256": other.network.weights_sha256},
        }
        if config.against is not None:
            sets = (other.encode(samples).features, other.encode(ImageSet(config.against)).features)
            record["values"].update(
                {
                    f"{name}.{key}": value
                    for key, value in further_metrics(*sets, config.evaluation.neighbours).items()
                }
            )
    return record


def _against(config: MeasureConfig, main: Gauge, samples: EncodedImages) -> dict[str, Any]:
    assert config.against is not None
    held_out = main.encode(ImageSet(config.against))
    training = None if config.training is None else main.encode(ImageSet(config.training))
    return evaluate_encoded(
        samples, held_out, main.network, config.evaluation, training=training
    ).record()


def _facts(config: MeasureConfig, main: Gauge, samples: EncodedImages) -> dict[str, Any]:
    settings = {**config.evaluation.model_dump(mode="json"), "metrics_version": METRICS_VERSION}
    network = {"encoder": main.network.name, "encoder_sha256": main.network.weights_sha256}
    return {"values": {}, "num_samples": len(samples), **network, "settings": settings}


def _by_adm(
    config: MeasureConfig, main: Gauge, samples: ImageSet, encoded: EncodedImages
) -> dict[str, float]:
    settings = config.evaluation
    assert settings.reference is not None
    assert encoded.logits is not None
    reference, images = read_reference(settings.reference), ImageSet(settings.reference)
    check_sizes(samples, images.parts(), settings.reference)
    found = AdmSamples(encoded.features, encoded.logits, encoded.spatial)
    values = adm_metrics(
        found, reference, main.encode(images).features, half=settings.reference_half
    )
    return {name: float(f"{value:.9g}") for name, value in values.items()}


def print_figures(record: dict[str, Any]) -> None:
    """Print every figure, its standard error behind it."""
    values = record["values"]
    for name, value in values.items():
        if not name.endswith("_std"):
            error = values.get(f"{name}_std")
            print(f"{name:<32}{value:>14.6g}" + (f"  ± {error:.2g}" if error is not None else ""))
    against = (
        f" against {record['num_held_out']:,} held-out images" if "num_held_out" in record else ""
    )
    print(
        f"{record['num_samples']:,} samples{against} through {record['encoder']} (weights {record['encoder_sha256'][:12]})"
    )


def measure_and_print(options: argparse.Namespace) -> None:
    """Measure, print the figures, and write them where `--output` says.

    Raises: InputError for images, statistics or weights that are missing or do not fit.
    """
    origin = options.config or "the command line"
    config = build(MeasureConfig, read_values(options.config, options.settings), origin)
    record = measure(config)
    print_figures(record)
    if options.output is not None:
        inputs = {"samples": config.samples, "against": config.against}
        text = json.dumps({**inputs, **record}, indent=1) + "\n"
        target = Path(options.output).absolute()
        Store(str(target.parent)).write_bytes(target.name, text.encode())
