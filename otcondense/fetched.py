"""Weights that a library keeps at an address of its own: fetched once, checked by the hash in their name, read as tensors alone."""

from pathlib import Path
from pickle import UnpicklingError  # the error alone: nothing is unpickled here

import torch
from torch import Tensor

from otcondense.errors import InputError


def fetched_path(address: str) -> Path:
    """Return where the file of an address lies, or will lie, on this machine: where the library itself would look."""
    return Path(torch.hub.get_dir()) / "checkpoints" / address.rsplit("/", 1)[-1]


def fetch_weights(address: str) -> Path:
    """Return the file of an address, fetched if it is not there; its name must end in the first digits of its SHA-256.

    Raises: InputError if it cannot be had.
    """
    path = fetched_path(address)
    if not path.exists():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(
                address, str(path), hash_prefix=path.stem.rsplit("-", 1)[-1], progress=False
            )
        except (OSError, RuntimeError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise InputError(
                f"weights {path.name} cannot be fetched ({reason}); run prefetch where there is a network"
            ) from error
    return path


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a .pt or .pth file; anything else in it is refused, since unpickling could run code.

    Raises: InputError if the file is missing or damaged, or holds something else.
    """
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, UnpicklingError, EOFError) as error:
        reason = " ".join(str(error).split())[:300]
        raise InputError(f"weights {path} cannot be used: {reason}") from error
    if not isinstance(found, dict) or not all(
        isinstance(value, Tensor) for value in found.values()
    ):
        raise InputError(
            f"weights {path} must be a state dict of tensors, found {type(found).__name__}"
        )
    return dict(found)
