"""Images that could not be used, and why: nothing is dropped in silence."""

from dataclasses import asdict, dataclass

import pyarrow as pa

from otcondense.errors import InputError
from otcondense.store import Store, class_file, fingerprint, write_table

SHOWN = 5
SCHEMA = pa.schema([(name, pa.string()) for name in ("image_id", "class_name", "reason")])


@dataclass(frozen=True)
class Lost:
    """An image that could not be used."""

    image_id: str
    class_name: str
    reason: str


def write_class_quarantine(
    store: Store, directory: str, class_name: str, mark: str, lost: list[Lost]
) -> None:
    """Write what one class lost beside its feature file, before that file is written."""
    name = _class_name(directory, class_name)
    if lost:
        store.write_json(name, {"fingerprint": mark, "lost": [asdict(each) for each in lost]})
    else:
        store.remove(name)


def read_class_quarantine(store: Store, directory: str, class_name: str, mark: str) -> list[Lost]:
    """Return what the finished class with the fingerprint `mark` lost."""
    name = _class_name(directory, class_name)
    if not store.exists(name):
        return []
    try:
        found = store.read_json(name)
    except InputError:  # damaged: the class then does not add up, and is encoded again
        return []
    return [Lost(**each) for each in found["lost"]] if found["fingerprint"] == mark else []


def write_quarantine(store: Store, directory: str, lost: list[Lost]) -> None:
    """Write `_quarantine.parquet` of the whole source, sorted; it is there also when it is empty."""
    rows = [
        asdict(each) for each in sorted(lost, key=lambda each: (each.class_name, each.image_id))
    ]
    write_table(
        store,
        quarantine_file(directory),
        pa.Table.from_pylist(rows, schema=SCHEMA),
        fingerprint=fingerprint(rows),
    )


def quarantine_file(directory: str) -> str:
    """Return the name of the list of unusable images."""
    return f"{directory}/_quarantine.parquet"


def check_lost_share(lost: list[Lost], total: int, allowed: float, where: str) -> None:
    """Refuse to go on when too many images are unusable.

    Raises: InputError listing the first few.
    """
    if len(lost) <= allowed * total:
        return
    first = sorted(lost, key=lambda each: (each.class_name, each.image_id))[:SHOWN]
    listed = "".join(f"\n  {each.image_id}: {each.reason}" for each in first) + (
        "\n  ..." if len(lost) > SHOWN else ""
    )
    raise InputError(
        f"at most {allowed:.2%} of the {total} images may be unreadable (source.max_lost_share), found {len(lost)}, all listed in "
        f"{where}:{listed}\nremove or mend these files, or allow a larger share"
    )


def _class_name(directory: str, class_name: str) -> str:
    return class_file(directory, class_name).rsplit("/", 1)[0] + "/_quarantine.json"
