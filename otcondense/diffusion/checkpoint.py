"""Checkpoints: safetensors for the weights and the optimizer, JSON for the rest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from otcondense.diffusion.attach import attach, stored_attachments
from otcondense.diffusion.checkpoint_files import forget, read_part, remember
from otcondense.diffusion.checkpoint_state import (
    STATE_FILE,
    Checkpoint,
    CheckpointState,
    FileDigest,
    checkpoint_directory,
    damaged,
    open_checkpoint,
    part_file,
    refuse_foreign,
    refuse_other_inputs,
)
from otcondense.diffusion.loss_lines import LossLine, PartialLine
from otcondense.diffusion.model import Transformer, build_model
from otcondense.diffusion.objectives import load_objective
from otcondense.diffusion.registry import AUTO, OBJECTIVES, resolve_objective
from otcondense.diffusion.sizes import ModelConfig
from otcondense.diffusion.tensor_file import parse_tensors, write_tensors
from otcondense.diffusion.training import TrainState
from otcondense.diffusion.training_config import TrainingConfig
from otcondense.errors import InputError
from otcondense.store import Store

__all__ = [
    "Checkpoint",
    "Draft",
    "load_model",
    "restore_state",
    "save_checkpoint",
    "save_model",
    "write_draft",
]

Parts = Mapping[str, Mapping[str, Tensor]]
"""Tensors by part and name."""
PARTS = ("model", "ema", "optimizer")
"""Tensor files of a checkpoint that training resumes from."""
MOMENTS = ("exp_avg", "exp_avg_sq")
"""State that AdamW keeps for each parameter."""


@dataclass(frozen=True)
class Draft:
    """Everything that a checkpoint will hold."""

    parts: Parts
    """Contiguous tensors of the CPU."""
    state: CheckpointState
    """Its JSON, so far without files."""


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
    parts = {part: _on_cpu(tensors) for part, tensors in saved_tensors(state).items()}
    record = replace(described(state, fingerprint), curve=tuple(curve), partial=partial)
    return write_draft(store, checkpoint_directory(directory, state.step), Draft(parts, record))


def write_draft(store: Store, place: str, draft: Draft) -> Checkpoint:
    """Write a checkpoint: first it becomes incomplete, the JSON comes last.

    No tensor is copied: each is written and hashed where it lies.
    """
    store.remove(f"{place}/{STATE_FILE}")
    forget(store, place)
    files: dict[str, FileDigest] = {}
    for part, tensors in draft.parts.items():
        with store.writing(part_file(place, part)) as file:
            files[part] = write_tensors(file, tensors)
    checkpoint = Checkpoint(place, replace(draft.state, files=files))
    store.write_json(f"{place}/{STATE_FILE}", checkpoint.state.to_json())
    remember(store, checkpoint)
    return checkpoint


def described(state: TrainState, fingerprint: str) -> CheckpointState:
    """Return the JSON of a training's checkpoint, without its files and its curve."""
    return CheckpointState(
        step=state.step,
        fingerprint=fingerprint,
        config=state.config.identity(),
        objective=resolve_objective(state.config.objective, state.config.model),
        time_convention=state.objective.time_convention,
        num_classes=state.model.num_classes,
        image_shape=state.model.image_shape,
        files={},
        ensemble_size=state.ensemble_size,
    )


def save_model(
    store: Store, place: str, model: Transformer, config: ModelConfig, objective: str = AUTO
) -> None:
    """Write a model that was trained elsewhere so that `load_model` finds it.

    Training cannot resume from it. Its fingerprint is the hash of its weights.
    """
    name = resolve_objective(objective, config)
    record = CheckpointState(
        step=0,
        fingerprint="",
        config={"model": config.model_dump(mode="json")},
        objective=name,
        time_convention=load_objective(name).time_convention,
        num_classes=model.num_classes,
        image_shape=model.image_shape,
        files={},
    )
    store.remove(f"{place}/{STATE_FILE}")
    with store.writing(part_file(place, "ema")) as file:
        digest = write_tensors(file, _on_cpu(model.state_dict()))
    record = replace(record, fingerprint=digest.sha256, files={"ema": digest})
    store.write_json(f"{place}/{STATE_FILE}", record.to_json())


def _on_cpu(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def saved_tensors(state: TrainState) -> dict[str, dict[str, Tensor]]:
    """Return the tensors of each part of a checkpoint, where they are.

    The moments of a training without a finished step are missing: its weights have their shapes and
    take their places.
    """
    moments = {}
    for name, parameter in state.model.named_parameters():
        found = state.optimizer.state.get(parameter, {})
        for moment in MOMENTS:
            moments[f"{moment}.{name}"] = found.get(moment, parameter.detach())
    return {"model": state.model.state_dict(), "ema": state.ema.state_dict(), "optimizer": moments}


def restore_state(
    store: Store, checkpoint: Checkpoint, state: TrainState, *, fingerprint: str
) -> None:
    """Set `state` to the checkpoint's, bit for bit; each of its files is read once.

    Raises: InputError if the checkpoint is of another configuration or of other images;
        DamagedCheckpointError if it is damaged. `state` has not changed then.
    """
    refuse_foreign(store, checkpoint, state.config)
    refuse_other_inputs(store, checkpoint, fingerprint)
    parts = {part: _load_part(store, checkpoint, part) for part in PARTS}
    state.model.load_state_dict(parts["model"])
    state.ema.load_state_dict(parts["ema"])
    start_optimizer(state, checkpoint.step)
    state.ensemble_size = checkpoint.state.ensemble_size
    found = saved_tensors(state)["optimizer"]
    for name, values in parts["optimizer"].items():
        found[name].copy_(values)


def start_optimizer(state: TrainState, step: int) -> None:
    """Give the optimizer moments of all weights, still 0, as after `step` steps."""
    for parameter in state.weights:
        count = torch.tensor(float(step), dtype=torch.float32, device=parameter.device)
        moments = {moment: torch.zeros_like(parameter.detach()) for moment in MOMENTS}
        state.optimizer.state[parameter] = {"step": count, **moments}
    state.step = step


def _load_part(store: Store, checkpoint: Checkpoint, part: str) -> dict[str, Tensor]:
    files = checkpoint.state.files
    if part not in files:
        raise InputError(
            f"checkpoint {store.path(checkpoint.directory)} has only the weights "
            f"{', '.join(files)}, found {part} requested"
        )
    data = read_part(store, checkpoint, part)
    try:
        return parse_tensors(data)
    except (ValueError, RuntimeError) as error:
        raise damaged(store, checkpoint.directory, error) from error


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
