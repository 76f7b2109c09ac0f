"""Latents or tokens of chosen images: read in storage order, one file for each class."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from otcondense.datasets import Listing
from otcondense.errors import InputError
from otcondense.representations import RepresentationConfig
from otcondense.store import Store, class_file, read_fingerprint
from pipeline.checked import Checked
from pipeline.class_plan import ClassPlan
from pipeline.cluster_config import ANY_CLUSTER, ClusterConfig
from pipeline.extract import OnProgress
from pipeline.extraction_config import ExtractionConfig
from pipeline.quarantine import Lost
from pipeline.representation_work import RepresentationWork, load_model
from pipeline.run_shards import encode_classes
from pipeline.work import Target, Work


@dataclass(frozen=True)
class RepresentationResult:
    """Counts of one extraction."""

    num_images: int
    classes_done: int
    """Classes that were encoded by this call."""
    classes_skipped: int
    """Classes that were already finished."""


def representation_work(
    kind: str, config: RepresentationConfig, max_pixels: int
) -> RepresentationWork:
    """Return the work of a kind; its model is loaded once to learn its digest."""
    model = load_model(kind, config.model_copy(update={"device": "cpu"}))
    return RepresentationWork(kind, config, model.sha256, json.dumps(model.facts), max_pixels)


def chosen_listing(listing: Listing, chosen: pa.Table) -> Listing:
    """Return the listing of chosen images, each with the hash it was chosen with.

    Args:
        listing: of the source.
        chosen: the images, with the columns `image_id` and `sha256`.

    Raises: InputError for an image that the source does not have.
    """
    try:
        return listing.subset(
            chosen.column("image_id").combine_chunks(), chosen.column("sha256").combine_chunks()
        )
    except KeyError as error:
        raise InputError(
            f"the source has no image {error.args[0]!r}; the manifest is not one of this source"
        ) from error


OnImages = Callable[[int, Sequence[Lost]], None]
"""Gets the images of wanted classes in a finished shard, and those of them that are lost."""


class ChosenTarget(Protocol):
    """Chosen images, and the directory of what is made of them."""

    @property
    def store(self) -> Store:
        """The run."""

    @property
    def directory(self) -> str:
        """Of the files of classes, below the root of the run."""

    @property
    def listing(self) -> Listing:
        """The chosen images, each with its hash."""


class Fingerprinted(Protocol):
    """What is made of chosen images."""

    def fingerprint_of(self, name: str, images: list[tuple[str, str]]) -> str:
        """Return the fingerprint of the file of one class: ids and hashes of its images."""


class ChosenWork(Work, Fingerprinted, Protocol):
    """A kind of extraction of chosen images."""


def plan_class(listing: Listing, name: str, work: Fingerprinted) -> ClassPlan:
    """Return the plan of one class.

    Args:
        listing: of the chosen images.
        name: of the class.
        work: what is made of them.
    """
    rows = listing.rows_of(name)
    hashes = listing.hashes(rows)
    assert hashes is not None, "chosen images have hashes"
    mark = work.fingerprint_of(name, list(zip(listing.ids_of(name), hashes, strict=True)))
    return ClassPlan(name, listing.index_of(name), len(rows), mark, mark)


def extract_chosen(
    target: Target,
    work: ChosenWork,
    config: ExtractionConfig,
    on_progress: OnProgress,
    cluster: ClusterConfig = ANY_CLUSTER,
) -> RepresentationResult:
    """Write one file for each class of chosen images.

    Args:
        target: the chosen images and the directory.
        work: the work of the target.
        config: resources; they do not change the result.
        on_progress: called after every shard.
        cluster: what the cluster can have, and how long to wait for it.

    Raises: InputError naming an image that is unreadable or has changed since it was chosen.
    """

    def encode(plans: Sequence[ClassPlan], on_images: OnImages) -> None:
        encode_classes(target, plans, config, on_images, cluster)

    plans = [plan_class(target.listing, name, work) for name in target.listing.names]
    return extract_with(target, plans, encode, on_progress)


def extract_with(
    target: ChosenTarget,
    plans: Sequence[ClassPlan],
    encode: Callable[[Sequence[ClassPlan], OnImages], None],
    on_progress: OnProgress,
) -> RepresentationResult:
    """Write the files of the classes that are not finished.

    Args:
        target: the chosen images and the directory.
        plans: of all classes.
        encode: writes the files of some classes, and tells of the images on the way.
        on_progress: called after every shard.

    Raises: what `encode` raises.
    """
    total = len(target.listing)
    checked = Checked.load(target.store, target.directory)
    still_open = [plan for plan in plans if not _is_finished(target, plan, checked)]
    done = total - sum(plan.size for plan in still_open)
    on_progress(done, total)

    def count(images: int, _lost: Sequence[Lost]) -> None:
        nonlocal done
        done += images
        on_progress(done, total)

    if still_open:
        encode(still_open, count)
    for plan in still_open:
        _add(target, plan, checked)
    checked.save()
    return RepresentationResult(total, len(still_open), len(plans) - len(still_open))


def _is_finished(target: ChosenTarget, plan: ClassPlan, checked: Checked) -> bool:
    name = class_file(target.directory, plan.name)
    known = checked.known(name)
    if known is not None:
        return known.fingerprint == plan.fingerprint
    if read_fingerprint(target.store, name) != plan.fingerprint:
        return False
    _add(target, plan, checked)
    return True


def _add(target: ChosenTarget, plan: ClassPlan, checked: Checked) -> None:
    checked.add(class_file(target.directory, plan.name), plan.fingerprint, plan.size)
