"""Embeddings of the captions of chosen images, one file for each class, and one for no caption."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa
import ray

from otcondense.datasets import Listing
from otcondense.representations import TextConfig, TextModel
from otcondense.representations.captions import (
    EMPTY,
    TextRows,
    class_captions_fingerprint,
    no_caption_fingerprint,
    write_no_caption,
)
from otcondense.store import Store, read_fingerprint
from otcondense.threads import one_thread
from pipeline.class_plan import ClassPlan
from pipeline.cluster_config import ANY_CLUSTER, ClusterConfig
from pipeline.crew import Crew
from pipeline.extract import OnProgress
from pipeline.extraction_config import ExtractionConfig
from pipeline.represent import OnImages, RepresentationResult, extract_with, plan_class
from pipeline.shards import FOLDER, Shard
from pipeline.text_worker import (
    CaptionActor,
    CaptionExtraction,
    CaptionWorker,
    shard_of,
    write_class,
)


@dataclass(frozen=True, eq=False)
class CaptionTarget:
    """Chosen images with their captions, and where their embeddings go."""

    store: Store
    directory: str
    """Of the files of classes, below the root of the run."""
    no_caption: str
    """File of the embedding of no caption."""
    listing: Listing
    """The chosen images, each with its hash."""
    captions: pa.Array
    """Caption of each image, in the order of the listing."""

    def rows(self) -> pa.Table:
        """Return id, hash and caption of each image."""
        hashes = self.listing.hashes(range(len(self.listing)))
        assert hashes is not None, "chosen images have hashes"
        ids = self.listing.table.column("image_id").combine_chunks().cast(pa.string())
        columns = {"image_id": ids, "sha256": pa.array(hashes), "caption": self.captions}
        return pa.table(columns)


@dataclass(frozen=True, eq=False)
class TextWork:
    """The fingerprints of the embeddings of captions."""

    target: CaptionTarget
    config: TextConfig
    weights_sha256: str

    def fingerprint_of(self, name: str, images: list[tuple[str, str]]) -> str:
        """Return the fingerprint of the file of one class: ids, hashes and captions of it."""
        place = self.target.listing.rows_of(name)
        captions = self.target.captions.slice(place.start, len(place)).to_pylist()
        rows = [(*image, caption) for image, caption in zip(images, captions, strict=True)]
        return class_captions_fingerprint(self.config, self.weights_sha256, name, rows)


def extract_captions(
    target: CaptionTarget,
    config: TextConfig,
    resources: ExtractionConfig,
    on_progress: OnProgress,
    cluster: ClusterConfig = ANY_CLUSTER,
) -> RepresentationResult:
    """Write the embedding of no caption, and one file for each class of chosen images.

    Args:
        target: the images, their captions and the directory.
        config: the model.
        resources: workers; they do not change the result.
        on_progress: called after every shard.
        cluster: what the cluster can have, and how long to wait for it.

    Raises: InputError if the model cannot be used, or an embedding is not finite.
    """
    sha256 = _write_no_caption(target, config)
    extraction = CaptionExtraction(
        target.store.root, target.directory, config, sha256, target.rows()
    )

    def encode(plans: Sequence[ClassPlan], on_images: OnImages) -> None:
        _encode_classes(target, extraction, plans, on_images, _encoder(resources, cluster))

    work = TextWork(target, config, sha256)
    plans = [plan_class(target.listing, name, work) for name in target.listing.names]
    return extract_with(target, plans, encode, on_progress)


def _write_no_caption(target: CaptionTarget, config: TextConfig) -> str:
    """Write the embedding of no caption, made on the CPU; returns the digest of the weights."""
    with one_thread():
        model = TextModel(config.model_copy(update={"device": "cpu"}))
        expected = no_caption_fingerprint(config, model.sha256)
        if read_fingerprint(target.store, target.no_caption) != expected:
            rows = TextRows(*model.embed([EMPTY], config.batch_size))
            write_no_caption(target.store, target.no_caption, rows, config, model.sha256)
    return model.sha256


@dataclass(frozen=True)
class _Here:
    """Embeds in this process, without a cluster."""

    def encode(self, extraction: CaptionExtraction, shards: Sequence[Shard]) -> Iterator[Shard]:
        with one_thread():
            worker = CaptionWorker(extraction)
            for shard in shards:
                worker.encode(shard)
                yield shard


@dataclass(frozen=True)
class _OnCluster:
    """Embeds with Ray Data on the cluster of this process."""

    resources: ExtractionConfig
    cluster: ClusterConfig

    def encode(self, extraction: CaptionExtraction, shards: Sequence[Shard]) -> Iterator[Shard]:
        crew = Crew.of(self.resources, self.cluster, extraction.config.device)
        given = ray.put(replace(extraction, assigned=crew.resources.gpus > 0))
        rows = [shard.row() for shard in shards]
        for row in crew.map(rows, CaptionActor, [given]):
            yield shard_of(row)


def _encoder(resources: ExtractionConfig, cluster: ClusterConfig) -> _Here | _OnCluster:
    return _OnCluster(resources, cluster) if resources.uses_cluster else _Here()


def _encode_classes(
    target: CaptionTarget,
    extraction: CaptionExtraction,
    plans: Sequence[ClassPlan],
    on_images: OnImages,
    place: _Here | _OnCluster,
) -> None:
    """Write the files of some classes; a shard that an earlier start finished is not redone."""
    wanted = {plan.name: target.listing.rows_of(plan.name) for plan in plans}

    def overlap(shard: Shard) -> int:
        spans = [
            min(shard.stop, rows.stop) - max(shard.start, rows.start) for rows in wanted.values()
        ]
        return sum(span for span in spans if span > 0)

    needed = [shard for shard in extraction.shards() if overlap(shard)]
    still_open = [shard for shard in needed if not extraction.is_finished(shard)]
    for shard in needed:
        if shard not in still_open:
            on_images(overlap(shard), ())
    if still_open:
        for shard in place.encode(extraction, still_open):
            on_images(overlap(shard), ())
    for plan in plans:
        write_class(extraction, plan, wanted[plan.name].start)
    target.store.remove(f"{target.directory}/{FOLDER}")
