"""The JSON of a checkpoint, and finding and checking checkpoints; it needs no torch.

The JSON is written last, so a checkpoint without it is incomplete.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from otcondense.diffusion.loss_lines import LossLine, PartialLine
from otcondense.diffusion.training_config import TrainingConfig
from otcondense.errors import InputError
from otcondense.store import Store, sha256_bytes

CHECKPOINT_SCHEMA_VERSION = 2
STATE_FILE = "state.json"


@dataclass(frozen=True)
class FileDigest:
    """Size and hash of one file of a checkpoint, as it was written."""

    size: int
    sha256: str

    @classmethod
    def of(cls, data: bytes) -> "FileDigest":
        """Return the digest of `data`."""
        return cls(len(data), sha256_bytes(data))


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
    """Return the checkpoint at `place` after comparing each file with its size and hash.

    Raises: InputError if it is missing, incomplete or damaged.
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
                read_part(store, place, part, expected)
            return Checkpoint(place, state)
    except (ValueError, KeyError, TypeError, AttributeError, FileNotFoundError) as error:
        raise InputError(
            f"checkpoint {store.path(place)} is damaged ({error}); "
            "train again, which goes on from an older one"
        ) from error
    raise InputError(
        f"checkpoint {store.path(place)} must have schema version {CHECKPOINT_SCHEMA_VERSION}, "
        f"found {version}"
    )


def read_part(store: Store, place: str, part: str, expected: FileDigest) -> bytes:
    """Return the content of one tensor file.

    Raises: ValueError if it is not of the expected size and hash.
    """
    data = store.read_bytes(part_file(place, part))
    if FileDigest.of(data) != expected:
        raise ValueError(
            f"{part}.safetensors must have {expected.size} bytes with SHA-256 "
            f"{expected.sha256[:8]}, found {len(data)} bytes"
        )
    return data


def list_checkpoints(store: Store, directory: str) -> list[int]:
    """Return the steps that have a checkpoint directory, complete or not, in rising order."""
    prefix = f"{directory}/checkpoints"
    places = {name[len(prefix) + 1 :].split("/")[0] for name in store.list(prefix)}
    numbers = {place.removeprefix("step-") for place in places}
    return sorted(int(number) for number in numbers if number.isdigit())


def latest_checkpoint(
    store: Store, directory: str, *, before: int | None = None
) -> Checkpoint | None:
    """Return the newest complete, undamaged checkpoint of a training run.

    Returns: None if there is none, or none with a step below `before`.
    """
    for step in reversed(list_checkpoints(store, directory)):
        if before is not None and step >= before:
            continue
        try:
            return open_checkpoint(store, checkpoint_directory(directory, step))
        except InputError:
            continue  # training resumes from an older checkpoint instead
    return None


def is_complete(store: Store, directory: str, step: int, fingerprint: str) -> bool:
    """Tell whether the checkpoint of `step` is complete and of the run `fingerprint`."""
    try:
        checkpoint = open_checkpoint(store, checkpoint_directory(directory, step))
    except InputError:
        return False
    return checkpoint.state.fingerprint == fingerprint


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
