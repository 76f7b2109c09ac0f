"""Convert a checkpoint between public DiT/SiT files, ours and diffusers' DiTPipeline."""

import argparse
from collections.abc import Callable
from pathlib import Path

from safetensors.torch import save

from otcondense.checkpoints import PublicModel, from_public, read_public, to_public
from otcondense.diffusion.checkpoint import Checkpoint, load_model, save_model
from otcondense.diffusion.model import Transformer
from otcondense.diffusion.registry import OBJECTIVES
from otcondense.errors import InputError
from otcondense.exports.outputs import new_output
from otcondense.reading import parse_json, read_text
from otcondense.store import Store
from otcondense.store.local_files import write_whole


def import_public(options: argparse.Namespace) -> None:
    """Write a public file as one of our checkpoints."""
    new_output(options.target, "TARGET")
    public = PublicModel(options.family, options.num_heads, options.data_first)
    model, config = from_public(read_public(options.source, options.weights), public)
    store, name = _place(options.target)
    save_model(store, name, model, config)
    print(
        f"{options.target}: {config.name}, {model.num_classes} classes, "
        f"inputs of {model.image_shape}"
    )


def export_public(options: argparse.Namespace) -> None:
    """Write one of our checkpoints under the public names."""
    output = new_output(options.target, "TARGET")
    model, _ = _load(options)
    with write_whole(output) as temporary:
        temporary.write_bytes(save(to_public(model)))


def export_diffusers(options: argparse.Namespace) -> None:
    """Write one of our checkpoints as a folder that DiTPipeline.from_pretrained loads."""
    from otcondense.checkpoints.dit_pipeline import export_pipeline

    new_output(options.target, "TARGET")
    names = read_class_names(options.class_names) if options.class_names else None
    model, checkpoint = _load(options)
    objective = checkpoint.state.objective
    prediction = OBJECTIVES[objective].diffusers_prediction
    if prediction is None:
        fitting = [name for name, entry in OBJECTIVES.items() if entry.diffusers_prediction]
        raise InputError(
            f"DiTPipeline needs a model trained with objective {' or '.join(fitting)}, "
            f"found objective {objective} in {options.source}"
        )

    export_pipeline(model, options.autoencoder, options.target, names, prediction_type=prediction)


def read_class_names(path: str) -> dict[int, str]:
    """Return the readable names in a JSON file by class index.

    Raises: InputError if the file is missing or malformed.
    """
    what = '--class-names must be a JSON file such as {"0": "tench"}'
    names = parse_json(read_text(path, what), f"{what}, and {path}")
    try:
        return {int(index): str(name) for index, name in names.items()}
    except (ValueError, AttributeError) as error:
        raise InputError(f"{what}, found {path} ({error})") from error


def _load(options: argparse.Namespace) -> tuple[Transformer, Checkpoint]:
    """Return the model of a checkpoint.

    Raises: InputError if it cannot be read, or the model is conditioned on text.
    """
    store, name = _place(options.source)
    model, checkpoint = load_model(store, name, weights=options.weights)
    if model.text_embedder is not None:
        raise InputError(
            "the public formats are of models of classes alone, found a model with text in "
            f"{options.source}; sample it with `otcondense sample`"
        )
    return model, checkpoint


def _place(path: str) -> tuple[Store, str]:
    absolute = Path(path).absolute()
    return Store(str(absolute.parent)), absolute.name


COMMANDS: dict[str, Callable[[argparse.Namespace], None]] = {
    "from-public": import_public,
    "to-public": export_public,
    "to-diffusers": export_diffusers,
}
"""The sub-commands of `otcondense convert`."""
