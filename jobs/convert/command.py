"""Convert a checkpoint between public DiT/SiT files, ours and diffusers' DiTPipeline: `python -m jobs.convert`."""

import argparse
import json
from pathlib import Path
from typing import Any

from safetensors.torch import save

from otcondense.checkpoints import PublicModel, from_public, read_public, to_public
from otcondense.diffusion.checkpoint import load_model, save_model
from otcondense.diffusion.registry import OBJECTIVES
from otcondense.errors import InputError
from otcondense.store import Store


def import_public(options: argparse.Namespace) -> None:
    """Write a public file as one of our checkpoints."""
    public = PublicModel(options.family, options.num_heads, options.data_first)
    model, config = from_public(read_public(options.source, options.weights), public)
    save_model(*_place(options.target), model, config)
    print(
        f"{options.target}: {config.name}, {model.num_classes} classes, inputs of {model.image_shape}"
    )


def export_public(options: argparse.Namespace) -> None:
    """Write one of our checkpoints under the public names."""
    model, _ = _load(options)
    store, name = _place(options.target)
    store.write_bytes(name, save(to_public(model)))


def export_diffusers(options: argparse.Namespace) -> None:
    """Write one of our checkpoints as a folder that DiTPipeline.from_pretrained loads."""
    from otcondense.checkpoints.dit_pipeline import export_pipeline

    model, record = _load(options)
    prediction = OBJECTIVES[record["objective"]].diffusers_prediction
    if prediction is None:
        fitting = [name for name, entry in OBJECTIVES.items() if entry.diffusers_prediction]
        raise InputError(
            f"DiTPipeline needs a model trained with objective {' or '.join(fitting)}, "
            f"found objective {record['objective']} in {options.source}"
        )
    names = read_class_names(options.class_names) if options.class_names else None
    export_pipeline(model, options.autoencoder, options.target, names, prediction_type=prediction)


def read_class_names(path: str) -> dict[int, str]:
    """Return the readable names in a JSON file by class index.

    Raises: InputError if the file is missing or holds something else.
    """
    try:
        return {
            int(index): str(name)
            for index, name in json.loads(Path(path).read_text(encoding="utf-8")).items()
        }
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(
            f'--class-names must be a JSON file such as {{"0": "tench"}}, found {path} ({error})'
        ) from error


def _load(options: argparse.Namespace) -> tuple[Any, dict[str, Any]]:
    model, checkpoint = load_model(*_place(options.source), weights=options.weights)
    return model, checkpoint.state


def _place(path: str) -> tuple[Store, str]:
    absolute = Path(path).absolute()
    return Store(str(absolute.parent)), absolute.name


COMMANDS = {
    "from-public": import_public,
    "to-public": export_public,
    "to-diffusers": export_diffusers,
}
"""The sub-commands of `python -m jobs.convert`."""
