"""Weights from the address of a library: fetched once, checked by their hash, read as tensors."""

from pathlib import Path
from pickle import UnpicklingError  # only the error: nothing is unpickled

import torch
from torch import Tensor

from otcondense.errors import InputError

LONGEST_REASON = 300
"""Characters of torch's reason in a message; some are pages long."""


def fetched_path(address: str) -> Path:
    """Return the path of the file of an address on this machine, the same as the library uses."""
    return Path(torch.hub.get_dir()) / "checkpoints" / address.rsplit("/", 1)[-1]


def fetch_weights(address: str) -> Path:
    """Return the file of an address; fetch it if it is not there.

    Its name must end in the first digits of its SHA-256.

    Raises: InputError if it cannot be fetched.
    """
    path = fetched_path(address)
    if not path.exists():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(
                address, str(path), hash_prefix=path.stem.rsplit("-", 1)[-1], progress=False
            )
        except (OSError, RuntimeError) as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise InputError(
                f"weights {path.name} cannot be fetched ({lines[0]}); "
                "run prefetch where there is a network"
            ) from error
    return path


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a .pt or .pth file.

    Raises: InputError if the file is missing or damaged, or holds anything else than tensors, since
        unpickling could run code.
    """
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, UnpicklingError, EOFError) as error:
        reason = " ".join(str(error).split())[:LONGEST_REASON]
        raise InputError(f"weights {path} cannot be used: {reason}") from error
    is_dict = isinstance(loaded, dict)
    if not is_dict or not all(isinstance(value, Tensor) for value in loaded.values()):
        raise InputError(
            f"weights {path} must be a state dict of tensors, found {type(loaded).__name__}"
        )
    return dict(loaded)
