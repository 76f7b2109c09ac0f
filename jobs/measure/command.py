"""Measure any images against any others, without a run.

`otcondense measure samples=FILE against=FOLDER [key=value]`
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from jobs.command.settings import build, read_values
from jobs.measure.config import MeasureConfig
from jobs.measure.image_sets import (
    MIXED_SIDE,
    MixedSizesError,
    Reading,
    Size,
    iterate_images,
)
from jobs.measure.places import check_images
from otcondense.counts import counted
from otcondense.devices import resolve_device
from otcondense.encoders import EncoderConfig
from otcondense.errors import InputError
from otcondense.evaluation import (
    Comparison,
    FeatureCache,
    Figures,
    ImageEncoder,
    ImageSet,
    Judge,
    Reference,
    count_copies,
    rounded_values,
    sample_figures,
    settings_record,
)
from otcondense.exports.outputs import check_output
from otcondense.store import Store
from pipeline.judges import load_main_network, load_network

STD = "_std"
"""End of the names of standard errors."""


def measure(config: MeasureConfig) -> dict[str, Any]:
    """Return all metrics of a set of images and their inputs.

    Images that cannot be read are left out and counted. Photos of different sizes are brought to
    one size, which the record names.

    Raises: InputError for images, statistics or weights that are missing or do not fit.
    """
    for path in (config.samples, config.against, config.training):
        if path is not None:
            check_images(path)
    reading = Reading(None if config.size is None else (config.size, config.size))
    try:
        record = _measure(config, reading)
    except MixedSizesError:
        if reading.size is not None:
            raise
        reading = Reading(_common_size(config.samples))
        record = _measure(config, reading)
    return {**record, **_about_reading(reading)}


def _common_size(samples: str) -> Size:
    """Return the size of the samples if all have the same, else `MIXED_SIDE`."""
    try:
        sizes = {tuple(part.shape[2:]) for part in iterate_images(samples)}
    except MixedSizesError:
        return (MIXED_SIDE, MIXED_SIDE)
    ((height, width),) = sizes
    return (height, width)


def _about_reading(reading: Reading) -> dict[str, Any]:
    """Return the size that images were brought to, and how many could not be read."""
    about: dict[str, Any] = {}
    if reading.size is not None:
        about["resized_to"] = list(reading.size)
    lost = {path: len(images) for path, images in reading.lost.items() if images}
    if lost:
        about["left_out"] = lost
    return about


def _measure(config: MeasureConfig, reading: Reading) -> dict[str, Any]:
    samples = image_set(config.samples, reading)
    against = _comparison(config, reading)
    if against.reference is not None:
        check_sizes(samples, against.reference)

    judge = _main_judge(config)
    further = {}
    for name, encoder in config.judges.items():
        further[name] = _judge(config, load_network(encoder), encoder)

    device = torch.device(resolve_device("auto" if config.judge is None else config.judge.device))
    figures = sample_figures(samples, against, judge, further, config.evaluation, device)
    _note_lost(reading)
    if against.held_out is not None:
        _note_copies(judge, against.held_out)
    return _record(config, figures, judge, further)


def _note_copies(judge: Judge, held_out: ImageSet) -> None:
    """Name images of `against` that are there more than once: they shift every metric."""
    features = judge.encode_once(held_out).features
    copies = count_copies(features)
    if copies:
        print(f"{copies} of the {len(features)} images of `against` are copies of another one")


def _note_lost(reading: Reading) -> None:
    """Name the images that cannot be read."""
    for path, images in reading.lost.items():
        if images:
            name, reason = next(iter(images.items()))
            print(
                f"{counted(len(images), 'image')} of {path} cannot be read and left out, such as "
                f"{name} ({reason})"
            )
    if reading.size is not None:
        height, width = reading.size
        print(f"images of other sizes are scaled and cut to {height} x {width} pixels")


def image_set(path: str, reading: Reading) -> ImageSet:
    """Return the images at a path as a set to measure."""
    return ImageSet(lambda: iterate_images(path, reading))


def _comparison(config: MeasureConfig, reading: Reading) -> Comparison:
    path = config.evaluation.reference
    reference = None if path is None else Reference.read(path)
    against, training = config.against, config.training
    return Comparison(_images(against, reading), _images(training, reading), reference)


def _images(path: str | None, reading: Reading) -> ImageSet | None:
    return None if path is None else image_set(path, reading)


def _main_judge(config: MeasureConfig) -> Judge:
    network = load_main_network(config.evaluation, config.judge, device="auto")
    return _judge(config, network, config.judge)


def _judge(config: MeasureConfig, network: ImageEncoder, encoder: EncoderConfig | None) -> Judge:
    cache = None
    if config.cache is not None:
        cache = FeatureCache(config.cache, {} if encoder is None else encoder.identity())
    return Judge(network, config.evaluation.batch_size, cache)


def _record(
    config: MeasureConfig, figures: Figures, judge: Judge, further: dict[str, Judge]
) -> dict[str, Any]:
    """Return metrics and their inputs as JSON values."""
    if figures.main is not None:
        record = figures.main.record()
    else:
        record = {
            "values": {},
            "num_samples": len(figures.samples),
            "encoder": judge.network.name,
            "encoder_sha256": judge.network.weights_sha256,
            "settings": settings_record(config.evaluation),
        }
    record["values"] |= {**rounded_values(figures.adm), **figures.further}
    if further:
        record["judges"] = {name: _network_record(other) for name, other in further.items()}
    return record


def _network_record(judge: Judge) -> dict[str, str]:
    return {"encoder": judge.network.name, "encoder_sha256": judge.network.weights_sha256}


def check_sizes(samples: ImageSet, reference: Reference) -> None:
    """Refuse samples of another size than the images of the reference.

    Raises: InputError naming both sizes.
    """
    found = _size(samples)
    expected = _size(reference.images)
    if found != expected:
        raise InputError(
            f"samples must have the size {expected} (height, width) of the reference "
            f"{reference.statistics.path}, found {found}"
        )


def _size(images: ImageSet) -> tuple[int, ...]:
    return tuple(next(iter(images.parts())).shape[2:])


def print_figures(record: dict[str, Any]) -> None:
    """Print all metrics with their standard errors."""
    values = record["values"]
    for name, value in values.items():
        if not name.endswith(STD):
            error = values.get(f"{name}{STD}")
            spread = "" if error is None else f"  ± {error:.2g}"
            print(f"{name:<32}{value:>14.6g}{spread}")

    against = ""
    if "num_held_out" in record:
        against = f" against {record['num_held_out']:,} held-out images"
    weights = record["encoder_sha256"][:12]
    print(
        f"{record['num_samples']:,} samples{against} through {record['encoder']} "
        f"(weights {weights})"
    )


def measure_and_print(options: argparse.Namespace) -> None:
    """Measure images, print the metrics, and write them to the file of `--output`.

    Raises: InputError for images, statistics or weights that are missing or do not fit.
    """
    values = read_values(options.config, options.settings, "settings")
    config = build(MeasureConfig, values, options.config)
    if options.output is not None:
        check_output(options.output)
    record = measure(config)
    print_figures(record)

    if options.output is not None:
        inputs = {"samples": config.samples, "against": config.against}
        text = json.dumps({**inputs, **record}, indent=1) + "\n"
        target = Path(options.output).absolute()
        Store(str(target.parent)).write_bytes(target.name, text.encode())
