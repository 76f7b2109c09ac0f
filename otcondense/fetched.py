"""Weights from the address of a library: fetched once, checked by their hash, read as tensors."""

import zipfile
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from otcondense.errors import InputError
from otcondense.reading import open_regular

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
    loaded = load_pickled(path, f"weights {path} cannot be used")
    is_dict = isinstance(loaded, dict)
    if not is_dict or not all(isinstance(value, Tensor) for value in loaded.values()):
        raise InputError(
            f"weights {path} must be a state dict of tensors, found {type(loaded).__name__}"
        )
    return dict(loaded)


def load_pickled(path: str | Path, problem: str) -> Any:
    """Return the content of a .pt or .pth file: tensors in plain containers, nothing else.

    Args:
        path: the file.
        problem: the beginning of a message, such as "weights w.pt cannot be used".

    Raises: InputError, which begins with `problem`, if the file is missing, damaged or
        compressed, or holds anything else.
    """
    try:
        with open_regular(path) as file:
            _refuse_compressed(file)
            loaded = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises errors of every type for damaged files
        reason = " ".join(str(error).split())[:LONGEST_REASON] or type(error).__name__
        raise InputError(f"{problem}: {reason}") from error
    return loaded


def _refuse_compressed(file: IO[bytes]) -> None:
    """Refuse an archive whose parts are compressed: torch writes none, and they could be huge.

    Raises: ValueError.
    """
    if zipfile.is_zipfile(file):
        file.seek(0)
        with zipfile.ZipFile(file) as archive:
            if any(part.compress_type != zipfile.ZIP_STORED for part in archive.infolist()):
                raise ValueError("its parts are compressed; write it again with torch.save")
    file.seek(0)
