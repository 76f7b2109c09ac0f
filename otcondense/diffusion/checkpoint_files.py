"""Finding checkpoints, and telling whether their files are undamaged; it needs no torch.

Files of a checkpoint take gigabytes. A file that was written or read whole is not read again while
its size and its time of change stay the same. These are kept in the logs: they are no result, and
without them everything is read once. Whoever then uses a file compares what it reads with the hash
in `state.json`. If that fails, it forgets the sizes and times, so that the next training finds the
damage, too.
"""

import hashlib
import logging
from contextlib import suppress

from otcondense.diffusion.checkpoint_state import (
    Checkpoint,
    FileDigest,
    checkpoint_directory,
    damaged,
    open_checkpoint,
    part_file,
)
from otcondense.errors import InputError
from otcondense.store import Store, hash8
from otcondense.store.tables import CHECKED_FOLDER

LOG = logging.getLogger(__name__)
CHUNK_BYTES = 2**24
"""Bytes that are read and hashed at a time."""


def list_checkpoints(store: Store, directory: str) -> list[int]:
    """Return the steps that have a checkpoint directory, complete or not, in rising order."""
    prefix = f"{directory}/checkpoints"
    places = {name[len(prefix) + 1 :].split("/")[0] for name in store.list(prefix)}
    numbers = {place.removeprefix("step-") for place in places}
    return sorted(int(number) for number in numbers if number.isdigit())


def latest_checkpoint(
    store: Store, directory: str, *, before: int | None = None, read_all: bool = False
) -> Checkpoint | None:
    """Return the newest complete, undamaged checkpoint of a training run.

    Args:
        store: the store of the run.
        directory: of the training run.
        before: only checkpoints of smaller steps.
        read_all: read all files, also those that have not changed since they were known.

    Returns: None if there is none, or none with a step below `before`.
    """
    for step in reversed(list_checkpoints(store, directory)):
        if before is not None and step >= before:
            continue
        with suppress(InputError):  # training resumes from an older checkpoint instead
            place = checkpoint_directory(directory, step)
            return read_checkpoint(store, place) if read_all else sound_checkpoint(store, place)
    return None


def is_complete(store: Store, directory: str, step: int, fingerprint: str) -> bool:
    """Tell whether the checkpoint of `step` is complete and of the run `fingerprint`."""
    try:
        place = checkpoint_directory(directory, step)
        if open_checkpoint(store, place).state.fingerprint != fingerprint:
            return False
        sound_checkpoint(store, place)
    except InputError:
        return False
    return True


def sound_checkpoint(store: Store, place: str) -> Checkpoint:
    """Return an undamaged checkpoint; files that are known and have not changed are not read.

    Raises: InputError if it is missing, incomplete or damaged.
    """
    checkpoint = open_checkpoint(store, place)
    if _known(store, place) == _marks(store, checkpoint):
        return checkpoint
    read_checkpoint(store, place)
    remember(store, checkpoint)
    return checkpoint


def read_checkpoint(store: Store, place: str) -> Checkpoint:
    """Return a checkpoint after comparing all of each file with its hash.

    Raises: InputError if it is missing, incomplete or damaged. It is no longer known as undamaged
        then.
    """
    checkpoint = open_checkpoint(store, place)
    for part, expected in checkpoint.state.files.items():
        sha256 = hashlib.sha256()
        try:
            with store.open(part_file(place, part)) as file:
                while chunk := file.read(CHUNK_BYTES):
                    sha256.update(chunk)
        except FileNotFoundError as error:
            raise damaged(store, place, error) from error
        if sha256.hexdigest() != expected.sha256:
            forget(store, place)
            raise damaged(store, place, other_content(part, expected))
    return checkpoint


def read_part(store: Store, checkpoint: Checkpoint, part: str) -> bytearray:
    """Return the content of one tensor file, which is read once.

    Raises: DamagedCheckpointError if it is not of the expected size and hash. The checkpoint is no
        longer known as undamaged then.
    """
    place, expected = checkpoint.directory, checkpoint.state.files[part]
    data = bytearray(expected.size)
    sha256, size = hashlib.sha256(), 0
    try:
        with store.open(part_file(place, part)) as file:
            while count := file.readinto(memoryview(data)[size : size + CHUNK_BYTES]):
                sha256.update(memoryview(data)[size : size + count])
                size += count
    except FileNotFoundError as error:
        raise damaged(store, place, error) from error
    if FileDigest(size, sha256.hexdigest()) != expected:
        forget(store, place)
        raise damaged(store, place, other_content(part, expected))
    return data


def other_content(part: str, expected: FileDigest) -> str:
    """Return what is wrong with a tensor file of the right size."""
    return f"{part}.safetensors must have SHA-256 {expected.sha256[:8]}, found another"


def remember(store: Store, checkpoint: Checkpoint) -> None:
    """Keep sizes and times of files that were just written, or read whole."""
    marks = _marks(store, checkpoint)
    try:
        store.write_json(_record(checkpoint.directory), marks)
    except OSError as error:
        LOG.warning("a checkpoint will be read again: %s", error.strerror or error)


def forget(store: Store, place: str) -> None:
    """Delete sizes and times, so that the next start of the training reads the files."""
    with suppress(OSError):  # a run that can only be read stays as it is
        store.remove(_record(place))


def remove_checkpoint(store: Store, directory: str, step: int) -> None:
    """Delete a checkpoint, first what says that it is complete."""
    place = checkpoint_directory(directory, step)
    forget(store, place)
    store.remove(place)


def _record(place: str) -> str:
    return f"{CHECKED_FOLDER}/checkpoint-{hash8(place)}.json"


def _known(store: Store, place: str) -> dict[str, str]:
    name = _record(place)
    if not store.exists(name):
        return {}
    try:
        return store.read_json(name)
    except InputError:
        return {}


def _marks(store: Store, checkpoint: Checkpoint) -> dict[str, str]:
    """Return hash, size and time of change of each file."""
    marks = {"place": checkpoint.directory}
    for part, expected in checkpoint.state.files.items():
        state = store.state(part_file(checkpoint.directory, part))
        marks[part] = f"{expected.sha256} {state}"
    return marks
