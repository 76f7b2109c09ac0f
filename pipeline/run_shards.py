"""The two passes of every extraction: encode the shards, then write the files of the classes."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np

from otcondense.datasets.ahead import in_threads
from pipeline.class_files import group_classes
from pipeline.class_plan import ClassPlan, planned_rows
from pipeline.cluster_config import ClusterConfig
from pipeline.extraction_config import ExtractionConfig
from pipeline.quarantine import Lost
from pipeline.shard_files import bytes_per_image, finished_shard, shard_folder, wanted_images
from pipeline.shards import Shard, plan_shards
from pipeline.stream import Here, OnCluster
from pipeline.work import Extraction, Target

LOOKERS = 8
"""Threads that read the files of shards which an earlier start wrote."""
OnShard = Callable[[int, Sequence[Lost]], None]
"""Gets the number of wanted images in a finished shard, and those of them that are lost."""


def encode_classes(
    target: Target,
    plans: Sequence[ClassPlan],
    config: ExtractionConfig,
    on_shard: OnShard,
    cluster: ClusterConfig,
) -> None:
    """Write the files of some classes or parts of classes.

    A shard that an earlier start finished is not read again. The files of shards are deleted when
    all classes are written.

    Args:
        target: the images and the directory.
        plans: the files, in the order of the listing.
        config: resources; they do not change the result.
        on_shard: called after every shard.
        cluster: what the cluster can have, and how long to wait for it.

    Raises: InputError if results are not finite, a class has no usable image, or the cluster is too
        small.
    """
    shards = plan_shards(target.listing, target.work.batch_size)
    extraction = _extraction(target, plans, shards)
    needed = [shard for shard in shards if wanted_images(extraction, shard)]
    still_open = []
    for shard, lost in zip(needed, _finished(extraction, needed), strict=True):
        if lost is None:
            still_open.append(shard)
        else:
            on_shard(wanted_images(extraction, shard), lost)

    place = OnCluster(extraction, config, cluster) if config.uses_cluster else Here(extraction)
    if still_open:
        for result in place.encode(still_open):
            on_shard(result.images, result.lost)
    _regroup(extraction, plans, needed, place)
    target.store.remove(shard_folder(target.directory))


def _extraction(target: Target, plans: Sequence[ClassPlan], shards: Sequence[Shard]) -> Extraction:
    listing = target.listing
    starts = np.array([shard.start for shard in shards], dtype=np.int64)
    return Extraction(
        root=target.store.root,
        directory=target.directory,
        work=target.work,
        listing=listing,
        starts=starts,
        plans=tuple(plans),
        plan_of=planned_rows(listing, plans),
    )


def _finished(extraction: Extraction, shards: Sequence[Shard]) -> Iterator[list[Lost] | None]:
    """Yield the lost images of each shard, None for one that must be encoded."""
    transform = extraction.work.transform()
    look = partial(finished_shard, extraction, transform=transform)
    return in_threads(look, shards, threads=LOOKERS, ahead=LOOKERS)


def _regroup(
    extraction: Extraction,
    plans: Sequence[ClassPlan],
    shards: Sequence[Shard],
    place: Here | OnCluster,
) -> None:
    place.regroup(list(group_classes(plans, bytes_per_image(extraction, shards))))
