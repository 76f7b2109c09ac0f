"""Import features that were computed elsewhere: no images, no encoder, no cluster."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from jaxtyping import Int64

from otcondense.datasets import Listing, SourceConfig, read_features, source_listing
from otcondense.errors import InputError
from otcondense.store import (
    ClassFeatures,
    Store,
    read_fingerprint,
    sha256_bytes,
    write_class_features,
)
from pipeline.checked import Checked
from pipeline.class_parts import ids_of_rows, rows_of_parts
from pipeline.class_plan import ClassPlan, plan_given, remove_parts
from pipeline.extract import ExtractionResult, OnProgress
from pipeline.quarantine import Lost, check_lost_share, quarantine_file, write_quarantine

GROUP_BYTES = 2**31
"""Classes of about this size are read together: the rows of one class may be in all files."""
PARTS_BYTES = 2**28
"""The same for parts of a class, whose rows follow each other in the storage. Several are read
together, because a row group of a Parquet file, often a million rows, is read whole."""


def import_features(
    store_root: str,
    directory: str,
    source: SourceConfig,
    stage_fingerprint: str,
    on_progress: OnProgress = lambda _done, _total: None,
) -> ExtractionResult:
    """Write one feature file per class of a source of features.

    A class of more than `PART_ROWS` rows gets several files; a few are in memory at a time. A file
    that is already finished with the same inputs is skipped.

    Raises: InputError if features are not finite numbers in rows of one length, or too many rows
        have no caption.
    """
    store = Store(store_root)
    listing = source_listing(store, source)
    plans = plan_given(listing, stage_fingerprint)
    checked = Checked.load(store, directory)
    todo = [plan for plan in plans if not _is_there(plan, checked)]
    lost = [Lost(each.image_id, each.class_name, each.reason) for each in listing.unusable]
    if lost:
        write_quarantine(store, directory, lost)
        where = store.path(quarantine_file(directory))
        check_lost_share(lost, len(listing) + len(lost), source.max_lost_share, where)
    total = len(listing)
    done = total - sum(plan.size for plan in todo)
    on_progress(done, total)

    def count(rows: int) -> None:
        nonlocal done
        done += rows
        on_progress(done, total)

    remove_parts(store, directory, todo)
    length: int | None = None
    for group in _groups(listing, todo):
        length = _write_group(source, listing, group, checked, length, count)
    checked.save()
    classes_done = len({plan.name for plan in todo})
    return ExtractionResult(
        num_images=total,
        num_quarantined=len(lost),
        num_ignored=len(listing.ignored),
        classes_done=classes_done,
        classes_skipped=len(listing.names) - classes_done,
    )


@dataclass(frozen=True, eq=False)
class _Planned:
    """A feature file and its rows of the listing."""

    plan: ClassPlan
    rows: Int64[np.ndarray, " n"]


def _write_group(
    source: SourceConfig,
    listing: Listing,
    group: Sequence[_Planned],
    checked: Checked,
    length: int | None,
    on_rows: Callable[[int], None],
) -> int:
    """Write the files of a group.

    Args:
        source: the features.
        listing: of the source.
        group: the files.
        checked: the files that are known to be undamaged; these are added.
        length: of the features of an earlier group; None for the first.
        on_rows: called after every file, with the number of its rows.

    Returns: the length of the features.

    Raises: InputError if the features have another length, or are not finite.
    """
    features = read_features(source, listing, np.concatenate([each.rows for each in group]))
    found = int(features.shape[1])
    if found != (length or found):
        raise InputError(
            f"features of {source.path} must all have one length, found {length} and {found}"
        )
    ends = np.cumsum([each.plan.size for each in group])
    for each, rows in zip(group, np.split(features, ends[:-1]), strict=True):
        made = _class_features(listing, each, rows)
        mark = each.plan.fingerprint
        write_class_features(checked.store, checked.directory, made, fingerprint=mark)
        checked.add(each.plan.file(checked.directory), mark, each.plan.size)
        on_rows(len(rows))
    return found


def _is_there(plan: ClassPlan, checked: Checked) -> bool:
    """Tell whether an earlier start has written a file; it is read unless it is known."""
    name = plan.file(checked.directory)
    known = checked.known(name)
    if known is not None:
        return known.fingerprint == plan.fingerprint
    if read_fingerprint(checked.store, name) != plan.fingerprint:
        return False
    checked.add(name, plan.fingerprint, plan.size)
    return True


def _groups(listing: Listing, plans: Sequence[ClassPlan]) -> Iterator[list[_Planned]]:
    """Yield files in groups of a bounded size, at least one in each."""
    sizes = listing.numbers("size_bytes")
    group: list[_Planned] = []
    size = 0
    for each in _with_rows(listing, plans):
        more = int(sizes[each.rows].sum())
        most = GROUP_BYTES if each.plan.part.count == 1 else PARTS_BYTES
        if group and size + more > most:
            yield group
            group = []
            size = 0
        group.append(each)
        size += more
    if group:
        yield group


def _with_rows(listing: Listing, plans: Sequence[ClassPlan]) -> Iterator[_Planned]:
    for name, of_class in groupby(plans, lambda plan: plan.name):
        known = list(of_class)
        parts = rows_of_parts(listing, name, known[0].part.count)
        for plan in known:
            yield _Planned(plan, parts[plan.part.number])


def _class_features(listing: Listing, planned: _Planned, features: np.ndarray) -> ClassFeatures:
    image_ids: list[str] = ids_of_rows(listing, planned.rows).to_pylist()
    bad = np.flatnonzero(~np.isfinite(features).all(axis=1))
    if len(bad):
        raise InputError(
            "features must be finite, found NaN or infinite values for "
            f"{image_ids[bad[0]]} and {len(bad) - 1} more"
        )
    unknown = np.zeros(len(image_ids), dtype=np.int32)
    return ClassFeatures(
        class_name=planned.plan.name,
        class_index=planned.plan.index,
        image_ids=image_ids,
        features=features,
        logits=None,
        cross_entropy=None,
        entropy=None,
        max_prob=None,
        width=unknown,
        height=unknown,
        sha256=[sha256_bytes(row.tobytes()) for row in features],
        part=planned.plan.part,
    )
