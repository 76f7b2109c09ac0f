"""Latents or tokens of chosen images: read in storage order, one file for each class."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from otcondense.datasets import Listing
from otcondense.errors import InputError
from otcondense.representations import RepresentationConfig
from otcondense.store import class_file, read_fingerprint
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


class ChosenWork(Work, Protocol):
    """A kind of extraction of chosen images."""

    def fingerprint_of(self, name: str, images: list[tuple[str, str]]) -> str:
        """Return the fingerprint of the file of one class: ids and hashes of its images."""


def plan_class(listing: Listing, name: str, work: ChosenWork) -> ClassPlan:
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
    listing = target.listing
    plans = [plan_class(listing, name, work) for name in listing.names]
    checked = Checked.load(target.store, target.directory)
    still_open = [plan for plan in plans if not _is_finished(target, plan, checked)]
    done = len(listing) - sum(plan.size for plan in still_open)
    on_progress(done, len(listing))

    def count(images: int, _lost: Sequence[Lost]) -> None:
        nonlocal done
        done += images
        on_progress(done, len(listing))

    if still_open:
        encode_classes(target, still_open, config, count, cluster)
    for plan in still_open:
        _add(target, plan, checked)
    checked.save()
    return RepresentationResult(len(listing), len(still_open), len(plans) - len(still_open))


def _is_finished(target: Target, plan: ClassPlan, checked: Checked) -> bool:
    name = class_file(target.directory, plan.name)
    known = checked.known(name)
    if known is not None:
        return known.fingerprint == plan.fingerprint
    if read_fingerprint(target.store, name) != plan.fingerprint:
        return False
    _add(target, plan, checked)
    return True


def _add(target: Target, plan: ClassPlan, checked: Checked) -> None:
    checked.add(class_file(target.directory, plan.name), plan.fingerprint, plan.size)
