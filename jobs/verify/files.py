"""What can be said of one stored file without knowing its run."""

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from jobs.run_directory.stages import verb_of
from otcondense.errors import InputError
from otcondense.store import Store, read_columns, read_unchanged, table_metadata

CLASS = "/class_name="


@dataclass(frozen=True)
class Problem:
    """A file that is not as it must be."""

    file: str
    found: str
    verb: str
    """The verb that writes the file."""

    def __str__(self) -> str:
        return f"{self.file}: {self.found}; mend: remove the file if it is there, then run `python -m jobs.{self.verb}` again"


@dataclass(frozen=True)
class Facts:
    """What is kept in memory of a table."""

    rows: int
    class_name: str | None
    fingerprint: str
    """Empty if the table has none."""
    weights_sha256: str
    """Of the network that made it, as it says itself; empty if it says nothing."""
    is_unique: bool
    """Whether no image identifier comes twice."""


def read_facts(store: Store) -> tuple[dict[str, Facts], list[Problem]]:
    """Read every table and JSON file of a run once; returns the facts of the good tables, and the damaged files."""
    facts, problems = {}, []
    for name in store.list():
        try:
            if name.endswith(".parquet"):
                facts[name] = _facts(read_unchanged(store, name))
            elif name.endswith(".json") and not name.startswith("logs/"):
                store.read_json(name)
        except (InputError, pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
            problems.append(
                Problem(name, f"damaged ({' '.join(str(error).split())})", verb_of(name))
            )
    return facts, problems


def _facts(table: pa.Table) -> Facts:
    metadata = table_metadata(table)
    image_ids = table.column("image_id").to_pylist() if "image_id" in table.column_names else []
    rows = (
        list(zip(image_ids, table.column("flipped").to_pylist(), strict=True))
        if "flipped" in table.column_names
        else image_ids
    )
    return Facts(
        rows=len(table),
        class_name=metadata.get("class_name"),
        fingerprint=str(metadata.get("fingerprint", "")),
        weights_sha256=str(metadata.get("weights_sha256", "")),
        is_unique=len(set(rows)) == len(rows),
    )


def check_class_file(name: str, facts: Facts) -> Iterator[Problem]:
    """Check that a table says which inputs it was made from, lists no image twice and lies in the folder of its class."""
    if not facts.fingerprint:
        yield Problem(name, "it has no fingerprint, no stage wrote it", verb_of(name))
    if not facts.is_unique:
        yield Problem(name, "an image is listed twice", verb_of(name))
    if CLASS in name and facts.class_name != (folder := name.split(CLASS, 1)[1].split("/", 1)[0]):
        yield Problem(
            name,
            f"it is of class {facts.class_name}, in the folder of class {folder}",
            verb_of(name),
        )


def read_hashes(store: Store, name: str) -> dict[str, str]:
    """Return the SHA-256 of the source file of every image of a feature file."""
    table = read_columns(store, name, ("image_id", "sha256"))
    return dict(zip(table.column(0).to_pylist(), table.column(1).to_pylist(), strict=True))
