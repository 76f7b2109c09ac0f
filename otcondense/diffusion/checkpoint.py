"""Checkpoints: safetensors for the weights and the optimizer, JSON for the rest."""

from collections.abc import Sequence

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from otcondense.diffusion.attach import attach, stored_attachments
from otcondense.diffusion.checkpoint_state import (
    CHECKPOINT_SCHEMA_VERSION,
    STATE_FILE,
    Checkpoint,
    CheckpointState,
    FileDigest,
    checkpoint_directory,
    is_complete,
    latest_checkpoint,
    list_checkpoints,
    open_checkpoint,
    part_file,
    read_part,
    refuse_foreign,
    refuse_other_inputs,
)
from otcondense.diffusion.loss_lines import LossLine, PartialLine
from otcondense.diffusion.model import Transformer, build_model
from otcondense.diffusion.objectives import load_objective
from otcondense.diffusion.registry import AUTO, OBJECTIVES, resolve_objective
from otcondense.diffusion.sizes import ModelConfig
from otcondense.diffusion.training import TrainState
from otcondense.diffusion.training_config import TrainingConfig
from otcondense.errors import InputError
from otcondense.store import Store

__all__ = [
    "CHECKPOINT_SCHEMA_VERSION",
    "STATE_FILE",
    "Checkpoint",
    "CheckpointState",
    "FileDigest",
    "checkpoint_directory",
    "is_complete",
    "latest_checkpoint",
    "list_checkpoints",
    "load_model",
    "open_checkpoint",
    "refuse_foreign",
    "refuse_other_inputs",
    "restore_state",
    "save_checkpoint",
    "save_model",
]

PARTS = ("model", "ema", "optimizer")
"""Tensor files of a checkpoint that training resumes from."""
MOMENTS = ("exp_avg", "exp_avg_sq")
"""State that AdamW keeps for each parameter."""


def save_checkpoint(
    store: Store,
    directory: str,
    state: TrainState,
    *,
    fingerprint: str,
    curve: Sequence[LossLine] = (),
    partial: PartialLine | None = None,
) -> Checkpoint:
    """Write the checkpoint of the current step below the training run `directory`.

    Args:
        store: the store of the run.
        directory: of the training run.
        state: the training to save.
        fingerprint: of the training's images and configuration.
        curve: the loss curve so far. All results of a training can be recomputed from its newest
            checkpoint.
        partial: sums of the last line, if a longer training has no line at this step.
    """
    place = checkpoint_directory(directory, state.step)
    files = _write_parts(store, place, _tensors(state))
    record = CheckpointState(
        step=state.step,
        fingerprint=fingerprint,
        config=state.config.identity(),
        objective=resolve_objective(state.config.objective, state.config.model),
        time_convention=state.objective.time_convention,
        num_classes=state.model.num_classes,
        image_shape=state.model.image_shape,
        files=files,
        curve=tuple(curve),
        partial=partial,
    )
    store.write_json(f"{place}/{STATE_FILE}", record.to_json())
    return Checkpoint(place, record)


def save_model(
    store: Store, place: str, model: Transformer, config: ModelConfig, objective: str = AUTO
) -> None:
    """Write a model that was trained elsewhere so that `load_model` finds it.

    Training cannot resume from it.
    """
    name = resolve_objective(objective, config)
    files = _write_parts(store, place, {"ema": _on_cpu(model.state_dict())})
    record = CheckpointState(
        step=0,
        fingerprint=files["ema"].sha256,
        config={"model": config.model_dump(mode="json")},
        objective=name,
        time_convention=load_objective(name).time_convention,
        num_classes=model.num_classes,
        image_shape=model.image_shape,
        files=files,
    )
    store.write_json(f"{place}/{STATE_FILE}", record.to_json())


def _write_parts(
    store: Store, place: str, parts: dict[str, dict[str, Tensor]]
) -> dict[str, FileDigest]:
    """Remove the JSON, so that the checkpoint is incomplete, and write the tensor files."""
    store.remove(f"{place}/{STATE_FILE}")
    files = {}
    for part, tensors in parts.items():
        data = save(tensors)
        store.write_bytes(part_file(place, part), data)
        files[part] = FileDigest.of(data)
    return files


def _on_cpu(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def _tensors(state: TrainState) -> dict[str, dict[str, Tensor]]:
    moments = {}
    for name, parameter in state.model.named_parameters():
        for moment in MOMENTS:
            moments[f"{moment}.{name}"] = state.optimizer.state[parameter][moment]
    parts = {"model": state.model.state_dict(), "ema": state.ema.state_dict(), "optimizer": moments}
    return {part: _on_cpu(tensors) for part, tensors in parts.items()}


def restore_state(
    store: Store, checkpoint: Checkpoint, state: TrainState, *, fingerprint: str
) -> None:
    """Set `state` to the checkpoint's, bit for bit.

    Raises: InputError if the checkpoint is of another configuration or of other images.
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


def _load_part(store: Store, checkpoint: Checkpoint, part: str) -> dict[str, Tensor]:
    files = checkpoint.state.files
    if part not in files:
        raise InputError(
            f"checkpoint {store.path(checkpoint.directory)} has only the weights "
            f"{', '.join(files)}, found {part} requested"
        )
    try:
        return load(read_part(store, checkpoint.directory, part, files[part]))
    except (ValueError, SafetensorError) as error:
        raise InputError(
            f"checkpoint {store.path(checkpoint.directory)} is damaged ({error})"
        ) from error


def load_model(
    store: Store, place: str, *, weights: str = "ema", device: str = "cpu"
) -> tuple[Transformer, Checkpoint]:
    """Return the model of a checkpoint ready for sampling, and the checkpoint.

    Args:
        store: the store of the checkpoint.
        place: directory of the checkpoint.
        weights: `ema` for the averaged weights, `model` for the last ones.
        device: device of the model.

    Raises: InputError if the checkpoint is missing, damaged, or of an unknown objective or time
        convention.
    """
    checkpoint = open_checkpoint(store, place)
    state = checkpoint.state
    _refuse_unknown_objective(store, checkpoint)
    config = ModelConfig(**state.config["model"])
    model = build_model(config, state.num_classes, state.image_shape)

    tensors = _load_part(store, checkpoint, weights)
    if "seed" in state.config:  # trained here: parts may be attached
        training = TrainingConfig(**state.config, num_workers=1)
        attach(model, training, stored_attachments(tensors))
    model.load_state_dict(tensors)
    return model.requires_grad_(requires_grad=False).eval().to(device), checkpoint


def _refuse_unknown_objective(store: Store, checkpoint: Checkpoint) -> None:
    state = checkpoint.state
    known = state.objective in OBJECTIVES
    if not known or load_objective(state.objective).time_convention != state.time_convention:
        raise InputError(
            f"checkpoint {store.path(checkpoint.directory)} must have one of the objectives "
            f"{', '.join(OBJECTIVES)} in their time conventions, found {state.objective!r} "
            f"({state.time_convention})"
        )
