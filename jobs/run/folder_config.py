"""The configuration of a run on a folder of images, without a configuration file."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.answers.short_training import NAME
from jobs.command.progress import note
from jobs.command.settings import build, override, read_values
from jobs.requirements.networks import find_encoder, find_judge, make_again
from jobs.run.folder import Folder, find_folder
from jobs.run.tiny import TinyWork, tiny_model
from jobs.run_directory.budget_rules import resolve
from jobs.run_directory.config import BASELINE, DEFAULT_DRAWS, RunConfig
from jobs.run_directory.encoder_rules import with_first_encoder
from jobs.run_directory.marker import MARKER, read_marker, store_of
from jobs.run_directory.opening import own_configuration
from otcondense.counts import counted
from otcondense.datasets import scan_images
from otcondense.durations import duration
from otcondense.errors import InputError
from otcondense.machine import usable_cpus
from pipeline.forecast import encode_seconds

METHOD = "geometry_aware"
BUDGET = 10
"""Images to choose from each class."""
FEW_CPUS = 2
"""So many cores are too few for Ray's processes: one process is faster."""
FEW_IMAGES = 1000
"""So many images are encoded in less time than Ray takes to start."""
SIDES = (8, 16, 32, 64, 128, 256)
"""Sizes of images for models and samples, in pixels."""
TINY_SIDE = 32
"""Largest size of images for the tiny model: it has 64 tokens then."""
LABELS = 100
"""Classes of the model that is measured: their number does not change its speed."""
UNUSUAL = re.compile(r"[^\w.-]+")
"""What the name of a run does not have."""


@dataclass(frozen=True)
class FolderRequest:
    """What a command line asks for."""

    folder: str
    run: str | None
    """Run directory; None makes one from the folder's name."""
    config: str | None
    """Configuration file whose source is replaced by the folder; None makes a configuration."""
    settings: Sequence[str]
    """`key=value` pairs."""
    train: bool
    """Whether a tiny model is trained."""
    minutes: float
    """How long that may take."""
    is_dry: bool = False
    """Whether nothing is written, as weights that are fetched or made."""


def folder_config(request: FolderRequest) -> RunConfig:
    """Return the configuration of a run on a folder; an earlier run of it keeps its own.

    Raises: InputError if the folder has no images, no network is at hand, the run directory is of
        another folder, or a setting is wrong.
    """
    root = request.run or default_run(request.folder)
    if request.config is not None:
        values = read_values(request.config, list(request.settings))
        source = values.setdefault("source", {})
        source["path"] = str(Path(request.folder).expanduser().resolve())
        return build(RunConfig, {**values, "run": root}, request.config)
    if read_marker(store_of(root)) is not None:
        return _earlier(request, root)
    given: dict[str, Any] = {}
    override(given, request.settings)
    folder = find_folder(request.folder, root, allow_links=_allows_links(given))
    values = {"run": root, **_values(folder, given, is_dry=request.is_dry)}
    override(values, [each for each in request.settings if not _is_of_model(each, request)])
    config = build(RunConfig, values, None)
    config = _with_model(config, request)
    _tell(config, folder)
    return config


def default_run(folder: str) -> str:
    """Return the run directory of a folder: `runs/` and its name."""
    name = UNUSUAL.sub("-", Path(folder).expanduser().resolve().name).strip("-.")
    return f"runs/{name or 'images'}"


def _earlier(request: FolderRequest, root: str) -> RunConfig:
    """Return the configuration of the run that was made from the folder before."""
    values = own_configuration(root)
    path = Path(request.folder).expanduser().resolve()
    if Path(values["source"]["path"]).resolve() != path:
        raise InputError(
            f"{root} is a run of {values['source']['path']}, not of {path}; name another run "
            "directory with --run"
        )
    has_model = NAME in values.get("models", {})
    override(
        values, [each for each in request.settings if has_model or not _is_of_model(each, request)]
    )
    note("configuration", f"that of {root}, which was made from this folder before")
    config = build(RunConfig, values, f"{root}/{MARKER}")
    _tell_what_is_kept(config, build(RunConfig, own_configuration(root), None), request)
    if not request.is_dry:
        make_again(config.networks)
    return _with_model(config, request)


def _tell_what_is_kept(config: RunConfig, earlier: RunConfig, request: FolderRequest) -> None:
    """Print what an earlier call of the run on a folder brings, that this one does not name."""
    if NAME in config.models and not request.train:
        note("train", "trains too (from an earlier call); to stop, add models={}")
    if config.selection != earlier.selection:
        note("subsets", f"those of the earlier settings stay in {config.run}")


def _is_of_model(setting: str, request: FolderRequest) -> bool:
    """Tell whether a setting is one of the tiny model, which is made later."""
    return request.train and setting.startswith(f"models.{NAME}.")


def _allows_links(given: dict[str, Any]) -> bool:
    source = given.get("source")
    return bool(source.get("allow_links")) if isinstance(source, dict) else False


def _values(folder: Folder, given: dict[str, Any], *, is_dry: bool) -> dict[str, Any]:
    """Return the settings for a folder, but for those that were given."""
    look = folder.look()
    given = with_first_encoder(given)
    several = len(folder.listing.names) > 1
    encoder = {} if _is_named(given, "encoder") else find_encoder(is_dry=is_dry)
    values: dict[str, Any] = {
        "source": dict(folder.source),
        "encoder": None if given.get("encoders") else encoder,
        "confidence": {"kind": "probe" if several else "none"},
        "selection": {"budget": BUDGET, "small_class": "take_all", "methods": [METHOD, BASELINE]},
        "pixels": {"size": side_of(look.side), "channels": 1 if look.is_grey else 3},
        "cluster": {"use_ray": None if _is_worth_ray(len(folder.listing)) else False},
    }
    if folder.held_out is not None:
        values |= {"held_out": dict(folder.held_out), "random_draws": DEFAULT_DRAWS}
        if not _is_named(given, "judge"):
            name = encoder.get("name") or given["encoder"]["name"]
            values["judge"] = find_judge(str(name), is_dry=is_dry)
    return values


def _is_named(given: dict[str, Any], network: str) -> bool:
    """Tell whether a network is chosen by the settings, not only changed."""
    settings = given.get(network)
    return isinstance(settings, dict) and "name" in settings


def side_of(pixels: int, most: int = SIDES[-1]) -> int:
    """Return the largest size of images for models that is not above `pixels` and `most`."""
    return max((side for side in SIDES if side <= min(pixels, most)), default=SIDES[0])


def _is_worth_ray(images: int) -> bool:
    """Tell whether Ray makes a run faster: on a cluster, or with cores and images for it."""
    on_cluster = bool(os.environ.get("RAY_ADDRESS"))
    return on_cluster or (usable_cpus() > FEW_CPUS and images > FEW_IMAGES)


def _with_model(config: RunConfig, request: FolderRequest) -> RunConfig:
    """Return the configuration with a tiny model, if that is asked for and it has no model.

    The number of steps is measured once and then part of the configuration, so that a restart has
    the same model.
    """
    if not request.train or config.models:
        return config
    values = config.model_dump(mode="json", exclude_unset=True)
    values["pixels"] = {
        **config.pixels.model_dump(),
        "size": side_of(config.pixels.size, TINY_SIDE),
    }
    model, plan = tiny_model(_tiny_work(config, request.minutes, values["pixels"]["size"]))
    values["models"] = {NAME: model}
    override(values, request.settings)
    made = build(RunConfig, values, None)
    settings = made.models[NAME]
    note(
        "train",
        f"{settings.training.num_steps:,} steps on each subset, "
        f"{counted(settings.sampling.num_samples, 'sample')} of each model: measured here, "
        f"{duration(plan.seconds)} to train, sample and measure ({request.minutes:g} min asked); "
        "features and selection come before",
    )
    return made


def _tiny_work(config: RunConfig, minutes: float, side: int) -> TinyWork:
    """Return what the minutes of the tiny model are for."""
    methods = config.selection.methods
    subsets = (methods[0], *(each for each in methods[1:] if each == BASELINE))
    encoded, judge_seconds = 0, 0.0
    if config.held_out is not None:
        sizes = scan_images(config.source).sizes
        budgets = [config.selection.subset(each).budgets[-1] for each in subsets]
        chosen = sum(sum(resolve(each, sizes).values()) for each in budgets)
        encoded = 2 * len(scan_images(config.held_out)) + chosen  # held-out ones in two sizes
        judge_seconds = encode_seconds(config.judge_or_encoder)
    return TinyWork(
        subsets=subsets,
        minutes=minutes,
        num_classes=len(config.source.classes or ()) or LABELS,
        shape=(config.pixels.channels, side, side),
        encoded=encoded,
        judge_seconds=judge_seconds,
    )


def _tell(config: RunConfig, folder: Folder) -> None:
    """Print what was decided."""
    sizes = folder.listing.sizes
    images, classes = sum(sizes.values()), len(sizes)
    found = f"{counted(images, 'image')} to choose from in {counted(classes, 'class')}"
    note("folder", f"{folder.path}: {found}")
    for text in folder.notes:
        note("folder", text)
    names = " and ".join(each.name for each in config.selecting)
    judge = "none" if config.judge is None else config.judge.name
    verb = "encodes" if len(config.selecting) == 1 else "encode"
    note("networks", f"{names} {verb}, {judge} judges")
    if config.cluster.use_ray is False:
        note("ray", "not used: everything works in this process (cluster.use_ray=true changes it)")
    note("run", f"{config.run}; it keeps these settings, key=value changes one")
