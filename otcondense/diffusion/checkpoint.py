"""Checkpoints: safetensors for the weights, JSON for the rest, the JSON written last to mark that all is there."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from otcondense.diffusion.attach import attach, stored_attachments
from otcondense.diffusion.model import Transformer, build_model
from otcondense.diffusion.objectives import load_objective
from otcondense.diffusion.registry import OBJECTIVES, resolve_objective
from otcondense.diffusion.sizes import ModelConfig
from otcondense.diffusion.training import TrainState
from otcondense.diffusion.training_config import TrainingConfig
from otcondense.errors import InputError
from otcondense.store import Store, sha256_bytes

CHECKPOINT_SCHEMA_VERSION = 2
PARTS = ("model", "ema", "optimizer")
MOMENTS = ("exp_avg", "exp_avg_sq")
STATE_FILE = "state.json"


@dataclass(frozen=True)
class Checkpoint:
    """A complete checkpoint: its place and what its JSON says."""

    directory: str
    state: dict[str, Any]

    @property
    def step(self) -> int:
        """Number of finished steps."""
        return int(self.state["step"])


def checkpoint_directory(directory: str, step: int) -> str:
    """Return where the checkpoint of `step` of a training run lies."""
    return f"{directory}/checkpoints/step-{step:06d}"


def save_checkpoint(
    store: Store,
    directory: str,
    state: TrainState,
    *,
    fingerprint: str,
    curve: Sequence[dict[str, Any]] = (),
) -> Checkpoint:
    """Write the checkpoint of the current step below the training run `directory`.

    Args:
        store: where it goes.
        directory: of the training run.
        state: what is kept.
        fingerprint: of the training's images and configuration.
        curve: the loss curve so far, so that all that a training leaves can be made again from its newest checkpoint.
    """
    place = checkpoint_directory(directory, state.step)
    store.remove(f"{place}/{STATE_FILE}")
    files = {}
    for part, tensors in _tensors(state).items():
        data = save(tensors)
        store.write_bytes(f"{place}/{part}.safetensors", data)
        files[part] = {"bytes": len(data), "sha256": sha256_bytes(data)}
    record = {
        "schema_version": CHECKPOINT_SCHEMA_VERSION,
        "step": state.step,
        "fingerprint": fingerprint,
        "config": state.config.identity(),
        "objective": resolve_objective(state.config.objective, state.config.model),
        "time_convention": state.objective.time_convention,
        "num_classes": state.model.num_classes,
        "image_shape": list(state.model.image_shape),
        "curve": list(curve),
        "files": files,
    }
    store.write_json(f"{place}/{STATE_FILE}", record)
    return Checkpoint(place, record)


def save_model(
    store: Store, place: str, model: Transformer, config: ModelConfig, objective: str = "auto"
) -> None:
    """Write a model that was trained elsewhere so that `load_model` finds it; there is nothing to resume from."""
    name = resolve_objective(objective, config)
    data = save(_on_cpu(model.state_dict()))
    store.remove(f"{place}/{STATE_FILE}")
    store.write_bytes(f"{place}/ema.safetensors", data)
    record = {
        "schema_version": CHECKPOINT_SCHEMA_VERSION,
        "step": 0,
        "fingerprint": sha256_bytes(data),
        "config": {"model": config.model_dump(mode="json")},
        "objective": name,
        "time_convention": load_objective(name).time_convention,
        "num_classes": model.num_classes,
        "image_shape": list(model.image_shape),
        "files": {"ema": {"bytes": len(data), "sha256": sha256_bytes(data)}},
    }
    store.write_json(f"{place}/{STATE_FILE}", record)


def _on_cpu(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def _tensors(state: TrainState) -> dict[str, dict[str, Tensor]]:
    moments = {
        f"{moment}.{name}": state.optimizer.state[parameter][moment]
        for name, parameter in state.model.named_parameters()
        for moment in MOMENTS
    }
    parts = {"model": state.model.state_dict(), "ema": state.ema.state_dict(), "optimizer": moments}
    return {part: _on_cpu(tensors) for part, tensors in parts.items()}


def open_checkpoint(store: Store, place: str) -> Checkpoint:
    """Return the checkpoint at `place` after checking that each of its files has the size and hash it was written with.

    Raises: InputError if it is missing, incomplete or damaged.
    """
    if not store.exists(f"{place}/{STATE_FILE}"):
        raise InputError(
            f"{store.path(place)} is not a complete checkpoint: {STATE_FILE} is missing; train again or choose another step"
        )
    try:
        state = store.read_json(f"{place}/{STATE_FILE}")
        for part, expected in state["files"].items():
            _read_part(store, place, part, expected)
    except (ValueError, KeyError, TypeError, FileNotFoundError) as error:
        raise InputError(
            f"checkpoint {store.path(place)} is damaged ({error}); remove it to train from an older one"
        ) from error
    if state["schema_version"] != CHECKPOINT_SCHEMA_VERSION:
        raise InputError(
            f"checkpoint {store.path(place)} must have schema version {CHECKPOINT_SCHEMA_VERSION}, found {state['schema_version']}"
        )
    return Checkpoint(place, state)


def _read_part(store: Store, place: str, part: str, expected: dict[str, Any]) -> bytes:
    data = store.read_bytes(f"{place}/{part}.safetensors")
    if len(data) != expected["bytes"] or sha256_bytes(data) != expected["sha256"]:
        raise ValueError(
            f"{part}.safetensors must have {expected['bytes']} bytes with SHA-256 {expected['sha256'][:8]}, found {len(data)} bytes"
        )
    return data


def list_checkpoints(store: Store, directory: str) -> list[int]:
    """Return the steps that have a checkpoint directory, complete or not, in rising order."""
    prefix = f"{directory}/checkpoints"
    places = {name[len(prefix) + 1 :].split("/")[0] for name in store.list(prefix)}
    return sorted(
        int(place.removeprefix("step-"))
        for place in places
        if place.removeprefix("step-").isdigit()
    )


def latest_checkpoint(
    store: Store, directory: str, *, before: int | None = None
) -> Checkpoint | None:
    """Return the newest complete, undamaged checkpoint of a training run with a step below `before`, or None."""
    for step in reversed(list_checkpoints(store, directory)):
        if before is not None and step >= before:
            continue
        try:
            return open_checkpoint(store, checkpoint_directory(directory, step))
        except InputError:
            continue  # a damaged checkpoint is as good as none: an older one serves
    return None


def is_complete(store: Store, directory: str, step: int, fingerprint: str) -> bool:
    """Tell whether the checkpoint of `step` is there, whole and of the run `fingerprint`."""
    try:
        return bool(
            open_checkpoint(store, checkpoint_directory(directory, step)).state["fingerprint"]
            == fingerprint
        )
    except InputError:
        return False


def restore_state(
    store: Store, checkpoint: Checkpoint, state: TrainState, *, fingerprint: str
) -> None:
    """Bring `state` to where the checkpoint left off, bit for bit.

    Raises: InputError if the checkpoint belongs to another configuration or to other images.
    """
    refuse_foreign(store, checkpoint, state.config)
    refuse_other_inputs(store, checkpoint, fingerprint)
    parts = {part: _load_part(store, checkpoint, part) for part in PARTS}
    state.model.load_state_dict(parts["model"])
    state.ema.load_state_dict(parts["ema"])
    for name, parameter in state.model.named_parameters():
        moments = {
            moment: parts["optimizer"][f"{moment}.{name}"].to(parameter.device)
            for moment in MOMENTS
        }
        count = torch.tensor(float(checkpoint.step), dtype=torch.float32, device=parameter.device)
        state.optimizer.state[parameter] = {"step": count, **moments}
    state.step = checkpoint.step


def refuse_foreign(store: Store, checkpoint: Checkpoint, config: TrainingConfig) -> None:
    """Check that a checkpoint is of the configuration `config`.

    Raises: InputError that names what differs.
    """
    found, wanted = checkpoint.state["config"], config.identity()
    changed = sorted(key for key in {*found, *wanted} if found.get(key) != wanted.get(key))
    if changed:
        differences = "; ".join(
            f"{key}: expected {wanted.get(key)!r}, found {found.get(key)!r}" for key in changed
        )
        raise InputError(
            f"checkpoint {store.path(checkpoint.directory)} is of another configuration ({differences}); use another directory"
        )


def refuse_other_inputs(store: Store, checkpoint: Checkpoint, fingerprint: str) -> None:
    """Check that a checkpoint was trained on the images and configuration of `fingerprint`.

    Raises: InputError if it was not.
    """
    found = checkpoint.state["fingerprint"]
    if found != fingerprint:
        raise InputError(
            f"checkpoint {store.path(checkpoint.directory)} was trained on other inputs (fingerprint {found[:8]}, "
            f"expected {fingerprint[:8]}); use another directory"
        )


def _load_part(store: Store, checkpoint: Checkpoint, part: str) -> dict[str, Tensor]:
    if part not in checkpoint.state["files"]:
        held = ", ".join(checkpoint.state["files"])
        raise InputError(
            f"checkpoint {store.path(checkpoint.directory)} holds {held} alone, found {part} asked for"
        )
    try:
        return load(_read_part(store, checkpoint.directory, part, checkpoint.state["files"][part]))
    except (ValueError, SafetensorError) as error:
        raise InputError(
            f"checkpoint {store.path(checkpoint.directory)} is damaged ({error})"
        ) from error


def load_model(
    store: Store, place: str, *, weights: str = "ema", device: str = "cpu"
) -> tuple[Transformer, Checkpoint]:
    """Return the model of a checkpoint ready for sampling, and the checkpoint.

    Args:
        store: where the checkpoint lies.
        place: directory of the checkpoint.
        weights: `ema` for the averaged weights, `model` for the last ones.
        device: where to put it.

    Raises: InputError if the checkpoint is missing, damaged, or of an objective or time convention unknown here.
    """
    checkpoint = open_checkpoint(store, place)
    record = checkpoint.state
    name = record["objective"]
    if name not in OBJECTIVES or load_objective(name).time_convention != record["time_convention"]:
        raise InputError(
            f"checkpoint {store.path(place)} has the objective {record['objective']!r} ({record['time_convention']}), unknown here"
        )
    channels, height, width = record["image_shape"]
    model = build_model(
        ModelConfig(**record["config"]["model"]), record["num_classes"], (channels, height, width)
    )
    tensors = _load_part(store, checkpoint, weights)
    if "seed" in record["config"]:  # trained here, with all that was attached
        attach(
            model, TrainingConfig(**record["config"], num_workers=1), stored_attachments(tensors)
        )
    model.load_state_dict(tensors)
    return model.requires_grad_(requires_grad=False).eval().to(device), checkpoint
