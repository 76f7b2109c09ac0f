"""Checks of one stored file that need no configuration of the run."""

from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc

from jobs.run_directory.marker import DESCRIPTION, is_description_damaged
from jobs.run_directory.stages import command_of, verb_of
from otcondense.errors import InputError
from otcondense.store import Store, read_columns, read_unchanged, table_metadata

CLASS = "/class_name="
DUPLICATE = "an image is listed twice"
MISSING = "the file is missing"
READERS = 8
"""Threads that read small files: an object store answers slowly, but many requests at once."""
SMALL_BYTES = 16 * 2**20
"""Files up to this size are read by several threads; larger ones would fill the memory."""
BATCH = 1024
"""Files whose facts are waited for together."""
READ_ERRORS = (InputError, pa.ArrowException, OSError, ValueError, KeyError, TypeError)
"""Errors that a damaged table or JSON file can cause."""


@dataclass(frozen=True)
class Problem:
    """A file that is missing, damaged or not the expected one."""

    file: str
    """Name relative to the run."""
    found: str

    @property
    def verb(self) -> str:
        """The verb that writes the file."""
        return verb_of(self.file)

    def __str__(self) -> str:
        return f"{self.file}: {self.found}; run {command_of(self.file)} again to rewrite it"


@dataclass(frozen=True)
class Facts:
    """The facts about a table that the checks compare."""

    rows: int
    class_name: str | None
    class_index: int | None
    """Index of the class of a file of one class."""
    fingerprint: str
    """Empty if the table has none."""
    weights_sha256: str
    """SHA-256 of the network's weights as the table records it; empty if it does not."""
    is_unique: bool
    """Whether each image is listed once."""


def read_facts(store: Store) -> tuple[dict[str, Facts], list[Problem]]:
    """Read every table and JSON file of a run once.

    Returns: the facts of the undamaged tables, and the damaged files.
    """
    facts: dict[str, Facts] = {}
    problems: list[Problem] = []
    names = store.list()
    for name, found in zip(names, _read_all(store, names), strict=True):
        if isinstance(found, Problem):
            problems.append(found)
        elif found is not None:
            facts[name] = found
    if is_description_damaged(store):
        problems.append(Problem(DESCRIPTION, "damaged: it differs from run.json"))
    return facts, problems


def _read_all(store: Store, names: Sequence[str]) -> Iterator[Facts | Problem | None]:
    """Yield what each file holds, in order; small ones are read by several threads."""
    with ThreadPoolExecutor(READERS) as pool:
        for start in range(0, len(names), BATCH):
            batch = names[start : start + BATCH]
            small = [name for name in batch if _is_small(store, name)]
            read = dict(zip(small, pool.map(partial(_read, store), small), strict=True))
            for name in batch:
                yield read[name] if name in read else _read(store, name)


def _is_small(store: Store, name: str) -> bool:
    try:
        return store.size(name) <= SMALL_BYTES
    except OSError:  # it is read by itself, and found damaged
        return False


def _read(store: Store, name: str) -> Facts | Problem | None:
    """Return the facts of a table, what is wrong with a file, or None."""
    try:
        if name.endswith(".parquet"):
            return _facts(read_unchanged(store, name))
        if name.endswith(".json") and not name.startswith("logs/"):
            store.read_json(name)
    except READ_ERRORS as error:
        reason = " ".join(str(error).split())
        return Problem(name, f"damaged ({reason})")
    return None


def _facts(table: pa.Table) -> Facts:
    metadata = table_metadata(table)
    rows = _row_names(table)
    return Facts(
        rows=len(table),
        class_name=metadata.get("class_name"),
        class_index=metadata.get("class_index"),
        fingerprint=str(metadata.get("fingerprint", "")),
        weights_sha256=str(metadata.get("weights_sha256", "")),
        is_unique=len(set(rows)) == len(rows),
    )


def _row_names(table: pa.Table) -> list[object]:
    """Return the image of each row; a mirrored image has a row of its own."""
    if "image_id" not in table.column_names:
        return []
    image_ids = table.column("image_id").to_pylist()
    if "flipped" not in table.column_names:
        return list(image_ids)
    return list(zip(image_ids, table.column("flipped").to_pylist(), strict=True))


def check_class_file(name: str, facts: Facts) -> Iterator[Problem]:
    """Check fingerprint, images and folder of a table.

    It must have a fingerprint, list each image once, and be in the folder of its class.
    """
    if not facts.fingerprint:
        yield Problem(name, "it has no fingerprint, so no stage wrote it")
    if not facts.is_unique:
        yield Problem(name, DUPLICATE)
    if CLASS in name:
        folder = name.split(CLASS, 1)[1].split("/", 1)[0]
        if facts.class_name != folder:
            found = f"it holds class {facts.class_name}, in the folder of class {folder}"
            yield Problem(name, found)


def read_hashes(store: Store, name: str, image_ids: Collection[str]) -> dict[str, str]:
    """Return the SHA-256 of some images of a feature file, by image_id; others are not kept."""
    table = read_columns(store, name, ("image_id", "sha256"))
    wanted = pc.is_in(table.column("image_id"), value_set=pa.array(image_ids, pa.string()))
    found = table.filter(wanted)
    return dict(zip(found.column(0).to_pylist(), found.column(1).to_pylist(), strict=True))
