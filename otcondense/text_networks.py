"""Loading of the text networks of transformers, for captions as features and for training."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from otcondense.errors import InputError
from otcondense.transformers_library import load_library, quiet, reason_of

UNUSED = "pooler"
"""Part of the names of weights that a text network may lack: nothing here reads its pooler."""


def load_text_network(
    what: str, place: str, class_of: Callable[[Any], str], extra: str
) -> tuple[Any, Any]:
    """Return the tokenizer of a text network, and the network in float32.

    Only .safetensors files are read, and no code that comes with a model is run.

    Args:
        what: the network as the configuration names it, for messages.
        place: repository on the hub, or a local folder.
        class_of: takes the settings in config.json; returns the class of transformers to load.
        extra: of this package, which installs transformers.

    Raises: InputError if transformers is not installed, the network is neither a local folder nor
        can be downloaded, lacks some of its weights, or has a tokenizer that cannot pad.
    """
    library = load_library(what, extra)
    settings = network_settings(what, place, extra)
    with quiet(library), _refusing(what):
        network = class_of(settings)
        tokenizer = library.AutoTokenizer.from_pretrained(place, trust_remote_code=False)
        net, report = getattr(library, network).from_pretrained(
            place,
            use_safetensors=True,
            trust_remote_code=False,
            dtype=torch.float32,
            output_loading_info=True,
        )
    missing = [name for name in sorted(report["missing_keys"]) if UNUSED not in name]
    if missing or tokenizer.pad_token_id is None:
        found = f"no {missing[0]}" if missing else "no padding token"
        raise InputError(
            f"{what} must be a whole {type(net).__name__} with a tokenizer that pads, found "
            f"{found}; take another model"
        )
    return tokenizer, net


def check_text_network(what: str, place: str, class_of: Callable[[Any], str], extra: str) -> None:
    """Check settings and tokenizer of a text network; its weights are not read.

    The arguments are those of `load_text_network`.

    Raises: InputError as `load_text_network` does, for what can be known without the weights.
    """
    library = load_library(what, extra)
    settings = network_settings(what, place, extra)
    with quiet(library), _refusing(what):
        class_of(settings)
        library.AutoTokenizer.from_pretrained(place, trust_remote_code=False)


def network_settings(what: str, place: str, extra: str) -> Any:
    """Return the settings of a text network, of its config.json; no weights are loaded.

    Args:
        what: the network as the configuration names it, for messages.
        place: repository on the hub, or a local folder.
        extra: of this package, which installs transformers.

    Raises: InputError if transformers is not installed, or there is no such network.
    """
    library = load_library(what, extra)
    with quiet(library), _refusing(what):
        return library.AutoConfig.from_pretrained(place, trust_remote_code=False)


@contextmanager
def _refusing(what: str) -> Iterator[None]:
    """Turn the library's errors about a network that cannot be loaded into one that names it."""
    try:
        yield
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{what} must be a text network on the hub, or a folder with config.json, a tokenizer "
            f"and .safetensors weights, found none that can be loaded ({reason_of(error)}); "
            "run prefetch where there is a network, or name its folder"
        ) from error
