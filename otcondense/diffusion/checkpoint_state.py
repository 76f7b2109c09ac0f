"""The JSON of a checkpoint; it needs no torch.

The JSON is written last, so a checkpoint without it is incomplete.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from otcondense.diffusion.loss_lines import LossLine, PartialLine
from otcondense.diffusion.training_config import TrainingConfig
from otcondense.errors import InputError
from otcondense.store import Store

CHECKPOINT_SCHEMA_VERSION = 2
STATE_FILE = "state.json"


class DamagedCheckpointError(InputError):
    """A checkpoint has a file that is not what was written; an older checkpoint may be whole."""


@dataclass(frozen=True)
class FileDigest:
    """Size and hash of one file of a checkpoint, as it was written."""

    size: int
    sha256: str


@dataclass(frozen=True)
class CheckpointState:
    """The JSON of a checkpoint."""

    step: int
    """Number of finished steps."""
    fingerprint: str
    """Of the training's images and configuration."""
    config: Mapping[str, Any]
    """The part of the training configuration that decides the content, as JSON."""
    objective: str
    time_convention: str
    num_classes: int
    image_shape: tuple[int, int, int]
    """Channels, height, width of the model's input."""
    files: Mapping[str, FileDigest]
    """Digest of each tensor file by its part: ema, model, optimizer."""
    curve: tuple[LossLine, ...] | None = None
    """The loss curve so far; None for a model that was trained elsewhere."""
    partial: PartialLine | None = None
    """Sums of its last line, if a longer training has no line at this step."""
    ensemble_size: int = 1
    """The most models that were trained at once with this one up to its step: 1 for a training by
    itself. Weights of an ensemble differ from those in the last digits."""

    def to_json(self) -> dict[str, Any]:
        """Return the state as it is stored."""
        files = {
            part: {"bytes": digest.size, "sha256": digest.sha256}
            for part, digest in self.files.items()
        }
        values = {
            "schema_version": CHECKPOINT_SCHEMA_VERSION,
            "step": self.step,
            "fingerprint": self.fingerprint,
            "config": dict(self.config),
            "objective": self.objective,
            "time_convention": self.time_convention,
            "num_classes": self.num_classes,
            "image_shape": list(self.image_shape),
            "files": files,
        }
        if self.curve is not None:
            values["curve"] = [line.to_json() for line in self.curve]
        if self.partial is not None:
            values["partial_line"] = asdict(self.partial)
        if self.ensemble_size > 1:
            values["ensemble_size"] = self.ensemble_size
        return values

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "CheckpointState":
        """Return the stored state `values`.

        Raises: KeyError, TypeError or ValueError for a value that is missing or malformed.
        """
        channels, height, width = values["image_shape"]
        files = {
            part: FileDigest(digest["bytes"], digest["sha256"])
            for part, digest in values["files"].items()
        }
        curve = None
        if "curve" in values:
            curve = tuple(LossLine.from_json(line) for line in values["curve"])
        partial = None
        if "partial_line" in values:
            partial = PartialLine(**values["partial_line"])
        return cls(
            step=int(values["step"]),
            fingerprint=values["fingerprint"],
            config=values["config"],
            objective=values["objective"],
            time_convention=values["time_convention"],
            num_classes=values["num_classes"],
            image_shape=(channels, height, width),
            files=files,
            curve=curve,
            partial=partial,
            ensemble_size=int(values.get("ensemble_size", 1)),
        )


@dataclass(frozen=True)
class Checkpoint:
    """A complete checkpoint: its directory and its JSON."""

    directory: str
    state: CheckpointState

    @property
    def step(self) -> int:
        """Number of finished steps."""
        return self.state.step


def checkpoint_directory(directory: str, step: int) -> str:
    """Return the directory of the checkpoint of `step` of a training run."""
    return f"{directory}/checkpoints/step-{step:06d}"


def part_file(place: str, part: str) -> str:
    """Return the tensor file of one part of the checkpoint at `place`."""
    return f"{place}/{part}.safetensors"


def open_checkpoint(store: Store, place: str) -> Checkpoint:
    """Return the checkpoint at `place`; its JSON is read, and its files have the right sizes.

    Raises: InputError if it is missing, incomplete or of another version;
        DamagedCheckpointError if its JSON or a size is wrong.
    """
    name = f"{place}/{STATE_FILE}"
    if not store.exists(name):
        raise InputError(
            f"{store.path(place)} is not a complete checkpoint: {STATE_FILE} is missing; "
            "train again or choose another step"
        )
    try:
        values = store.read_json(name)
        version = values["schema_version"]
        if version == CHECKPOINT_SCHEMA_VERSION:
            state = CheckpointState.from_json(values)
            for part, expected in state.files.items():
                _check_size(store, part_file(place, part), expected.size)
            return Checkpoint(place, state)
    except (ValueError, KeyError, TypeError, AttributeError, FileNotFoundError) as error:
        raise damaged(store, place, error) from error
    raise InputError(
        f"checkpoint {store.path(place)} must have schema version {CHECKPOINT_SCHEMA_VERSION}, "
        f"found {version}"
    )


def _check_size(store: Store, name: str, expected: int) -> None:
    file = name.rpartition("/")[2]
    if not store.exists(name):
        raise ValueError(f"{file} is missing")
    size = store.size(name)
    if size != expected:
        raise ValueError(f"{file} must have {expected} bytes, found {size}")


def damaged(store: Store, place: str, reason: object) -> DamagedCheckpointError:
    """Return the error of a checkpoint that is damaged for some reason."""
    return DamagedCheckpointError(
        f"checkpoint {store.path(place)} is damaged ({reason}); "
        "train again, which goes on from an older one"
    )


def refuse_foreign(store: Store, checkpoint: Checkpoint, config: TrainingConfig) -> None:
    """Check that a checkpoint is of the configuration `config`.

    Raises: InputError that names every difference.
    """
    found = checkpoint.state.config
    wanted = config.identity()
    changed = sorted(key for key in {*found, *wanted} if found.get(key) != wanted.get(key))
    if not changed:
        return
    differences = [
        f"{key}: expected {wanted.get(key)!r}, found {found.get(key)!r}" for key in changed
    ]
    raise InputError(
        f"checkpoint {store.path(checkpoint.directory)} is of another configuration "
        f"({'; '.join(differences)}); use another directory"
    )


def refuse_other_inputs(store: Store, checkpoint: Checkpoint, fingerprint: str) -> None:
    """Check that a checkpoint was trained on the images and configuration of `fingerprint`.

    Raises: InputError if it was not.
    """
    found = checkpoint.state.fingerprint
    if found != fingerprint:
        raise InputError(
            f"checkpoint {store.path(checkpoint.directory)} was trained on other inputs "
            f"(fingerprint {found[:8]}, expected {fingerprint[:8]}); use another directory"
        )
