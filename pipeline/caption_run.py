"""Features of captions, and the agreement of images with them: in this process or on a cluster."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import ray

from otcondense.datasets.ahead import in_threads
from otcondense.encoders import AlignmentConfig, EncoderConfig
from otcondense.store import read_fingerprint
from otcondense.threads import one_thread
from pipeline.caption_kinds import CaptionAgreement, CaptionFeatures
from pipeline.caption_work import CaptionWork, Piece, Unit
from pipeline.caption_worker import (
    CaptionJob,
    CaptionReader,
    CaptionTask,
    ReaderActor,
    finished_task,
    plan_tasks,
)
from pipeline.checked import Checked
from pipeline.cluster_config import ANY_CLUSTER, ClusterConfig
from pipeline.crew import Crew
from pipeline.extract import OnProgress
from pipeline.extraction_config import ExtractionConfig
from pipeline.failures import packed, raise_packed
from pipeline.run_shards import LOOKERS
from pipeline.shard_files import shard_folder


@dataclass(frozen=True)
class CaptionResult:
    """Counts of the work on captions."""

    classes: int
    classes_skipped: int
    """Classes whose files were all finished earlier."""


def encode_captions(
    work: CaptionWork,
    encoder: EncoderConfig,
    resources: ExtractionConfig,
    on_progress: OnProgress,
    cluster: ClusterConfig = ANY_CLUSTER,
) -> CaptionResult:
    """Write the embeddings of the captions of every class as features.

    Args:
        work: what is read and written.
        encoder: the text network.
        resources: workers; they do not change the result.
        on_progress: called after every task, with the number of captions.
        cluster: what the cluster can have, and how long to wait for it.

    Raises: InputError if the network cannot be used, or an image has no caption;
        MissingInputError if features or captions are missing.
    """
    job = CaptionJob.of(work, CaptionFeatures(encoder))
    return _read_all(job, resources, on_progress, cluster)


def score_by_alignment(
    work: CaptionWork,
    config: AlignmentConfig,
    resources: ExtractionConfig,
    on_progress: OnProgress,
    cluster: ClusterConfig = ANY_CLUSTER,
) -> CaptionResult:
    """Write how well the images of every class agree with their captions, as confidences.

    Args:
        work: what is read and written; its features are those of the same network.
        config: the network and the number of other captions.
        resources: workers; they do not change the result.
        on_progress: called after every task, with the number of captions.
        cluster: what the cluster can have, and how long to wait for it.

    Raises: InputError and MissingInputError as `encode_captions`.
    """
    job = CaptionJob.of(work, CaptionAgreement.of(work, config))
    return _read_all(job, resources, on_progress, cluster)


class _Here:
    """Works in this process, without a cluster."""

    def __init__(self, job: CaptionJob) -> None:
        self._job = job

    def read(self, tasks: Sequence[CaptionTask]) -> Iterator[CaptionTask]:
        with one_thread():
            reader = CaptionReader(self._job)
            for task in tasks:
                reader.work_on(task)
                yield task

    def join(self, units: Sequence[int]) -> None:
        for place in units:
            self._job.join(place)


class _OnCluster:
    """Works with Ray Data on the cluster of this process."""

    def __init__(
        self, job: CaptionJob, resources: ExtractionConfig, cluster: ClusterConfig
    ) -> None:
        self._plan = job.plan
        self._crew = Crew.of(resources, cluster, job.kind.encoder.device)
        # The captions are stored once on each node; workers see the same memory.
        self._job = ray.put(job.sent(assigned=self._crew.resources.gpus > 0))

    def read(self, tasks: Sequence[CaptionTask]) -> Iterator[CaptionTask]:
        rows = [task.row() for task in tasks]
        for row in self._crew.map(rows, ReaderActor, [self._job]):
            yield finished_task(row, self._plan)

    def join(self, units: Sequence[int]) -> None:
        results = self._crew.blocks([{"unit": place} for place in units]).map(
            join_unit,  # type: ignore[arg-type]
            fn_args=([self._job],),
            num_cpus=1,
        )
        for row in results.iter_rows():
            raise_packed(row["error"])


@lru_cache(maxsize=1)
def _known(job: "ray.ObjectRef[CaptionJob]") -> CaptionJob:
    found: CaptionJob = ray.get(job)
    return found


def join_unit(row: dict[str, Any], job: list[Any]) -> dict[str, Any]:
    """Write the file of the unit of a row, in a task."""
    try:
        _known(job[0]).join(row["unit"])
    except Exception as error:  # noqa: BLE001 - raised in the driver
        return {"error": packed(error)}
    return {"error": b""}


def _read_all(
    job: CaptionJob, resources: ExtractionConfig, on_progress: OnProgress, cluster: ClusterConfig
) -> CaptionResult:
    """Write the files that are not finished.

    Raises: InputError and MissingInputError as `encode_captions`.
    """
    work, units = job.work, job.plan.units
    checked = Checked.load(work.store, work.directory)
    still_open = [number for number, unit in enumerate(units) if not _is_done(work, unit, checked)]
    if still_open:
        place = _OnCluster(job, resources, cluster) if resources.uses_cluster else _Here(job)
        _read(job, still_open, on_progress, place)
    else:
        on_progress(len(job.plan.captions), len(job.plan.captions))
    for number in still_open:
        checked.add(units[number].file, units[number].expected, units[number].size)
    checked.save()
    work.store.remove(shard_folder(work.directory))
    changed = {units[number].name for number in still_open}
    return CaptionResult(len(work.class_names), len(work.class_names) - len(changed))


def _read(
    job: CaptionJob, units: Sequence[int], on_progress: OnProgress, place: _Here | _OnCluster
) -> None:
    """Write the files of some units; pieces that an earlier start finished are not read again."""
    total = len(job.plan.captions)
    pieces = _open_pieces(job, units)
    done = total - sum(piece.size for piece in pieces)
    on_progress(done, total)
    if pieces:
        for task in place.read(list(plan_tasks(pieces))):
            done += task.size
            on_progress(done, total)
    split = [number for number in units if len(job.plan.pieces_of[number]) > 1]
    if split:
        place.join(split)


def _is_done(work: CaptionWork, unit: Unit, checked: Checked) -> bool:
    """Tell whether an earlier start wrote the file of a unit, and it is undamaged."""
    known = checked.known(unit.file)
    if known is not None:
        return known.fingerprint == unit.expected
    if read_fingerprint(work.store, unit.file) != unit.expected:
        return False
    checked.add(unit.file, unit.expected, unit.size)
    return True


def _open_pieces(job: CaptionJob, units: Sequence[int]) -> list[Piece]:
    """Return the pieces of some units that no earlier start has finished."""
    wanted = [piece for number in units for piece in job.plan.pieces_of[number]]
    finished = in_threads(job.is_finished, wanted, threads=LOOKERS, ahead=LOOKERS)
    return [piece for piece, is_there in zip(wanted, finished, strict=True) if not is_there]
