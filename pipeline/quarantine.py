"""Images that cannot be used, with the reason for each: none is dropped silently."""

from dataclasses import asdict, dataclass

import pyarrow as pa

from otcondense.errors import InputError
from otcondense.shares import percent
from otcondense.store import Store, class_file, fingerprint, write_table

SHOWN = 5
"""Images that an error message lists."""
SCHEMA = pa.schema([(name, pa.string()) for name in ("image_id", "class_name", "reason")])


@dataclass(frozen=True)
class Lost:
    """An image that cannot be used."""

    image_id: str
    class_name: str
    reason: str


def write_class_quarantine(
    store: Store, name: str, file_fingerprint: str, lost: list[Lost]
) -> None:
    """Write the lost images of a feature file next to it, before that file is written.

    Args:
        store: the run.
        name: as `class_quarantine_file` returns it.
        file_fingerprint: of the feature file.
        lost: the images; if there are none, the file is removed.
    """
    if not lost:
        store.remove(name)
        return
    images = [asdict(each) for each in lost]
    store.write_json(name, {"fingerprint": file_fingerprint, "lost": images})


def read_class_quarantine(store: Store, name: str, file_fingerprint: str) -> list[Lost]:
    """Return the lost images of a finished feature file.

    Args:
        store: the run.
        name: as `class_quarantine_file` returns it.
        file_fingerprint: of the feature file.

    Returns: none if the file is missing, damaged or has another fingerprint. If images were lost,
        the class is then incomplete and is encoded again.
    """
    if not store.exists(name):
        return []
    try:
        written = store.read_json(name)
    except InputError:
        return []
    if written["fingerprint"] != file_fingerprint:
        return []
    return [Lost(**each) for each in written["lost"]]


def write_quarantine(store: Store, directory: str, lost: list[Lost]) -> None:
    """Write `_quarantine.parquet` of the whole source, sorted; also if no image is lost."""
    rows = [asdict(each) for each in _in_order(lost)]
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    write_table(store, quarantine_file(directory), table, fingerprint=fingerprint(rows))


def quarantine_file(directory: str) -> str:
    """Return the name of the list of unusable images."""
    return f"{directory}/_quarantine.parquet"


def check_lost_share(lost: list[Lost], total: int, allowed: float, where: str) -> None:
    """Check that not too many images are unusable.

    Args:
        lost: the unusable images.
        total: number of all images.
        allowed: largest share of unusable images, 0 to 1.
        where: path of the list of unusable images.

    Raises: InputError listing the first few.
    """
    if len(lost) <= allowed * total:
        return
    lines = [f"\n  {each.image_id}: {each.reason}" for each in _in_order(lost)[:SHOWN]]
    if len(lost) > SHOWN:
        lines.append("\n  ...")
    raise InputError(
        f"at most {percent(allowed, 2)} of the {total} images may be unreadable "
        f"(source.max_lost_share), found {len(lost)} so far, listed in {where}:{''.join(lines)}\n"
        "repair these files, or allow a larger share"
    )


def _in_order(lost: list[Lost]) -> list[Lost]:
    return sorted(lost, key=lambda each: (each.class_name, each.image_id))


def class_quarantine_file(directory: str, class_name: str, part: int = 0) -> str:
    """Return the name of the list of lost images of a feature file."""
    end = f"-{part}" if part else ""
    return f"{class_folder(directory, class_name)}/_quarantine{end}.json"


def class_folder(directory: str, class_name: str) -> str:
    """Return the folder of the feature files of a class."""
    return class_file(directory, class_name).rsplit("/", 1)[0]
