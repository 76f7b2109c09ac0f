"""Encoding of all images that an evaluation needs, each once, by workers of the cluster."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from jobs.cluster.start import start_ray
from jobs.evaluate.tasks import NetworkFiles
from jobs.judging.evaluation import Evaluation
from jobs.judging.run_images import SampledImages
from jobs.judging.stored_sets import StoredSets
from jobs.run_directory.run import Run
from otcondense.devices import DeviceSetting
from otcondense.store import Store
from pipeline.checked import Checked
from pipeline.cluster_config import ClusterConfig
from pipeline.evaluation_place import EvaluationHere, EvaluationOnCluster
from pipeline.extraction_config import ExtractionConfig
from pipeline.judged_parts import Part
from pipeline.judged_sets import ListedSet, StoredFeatures
from pipeline.judges import JudgeConfig

Place = EvaluationHere | EvaluationOnCluster
OnProgress = Callable[[int, int], None]
"""Gets the number of images that are encoded, and their total."""


@dataclass(frozen=True)
class LazyPlace:
    """Where the evaluation of a run works; a cluster is started or found when there is work."""

    run: Run

    @cached_property
    def get(self) -> Place:
        """The place.

        Raises: InputError if the cluster is too small, or the networks would move to a CPU.
        """
        config = self.run.config.extraction
        judges = [self.run.config.judge_or_encoder, *self.run.config.judges.values()]
        # One judge that may use a GPU is enough to ask for GPUs.
        devices: list[DeviceSetting] = [each.device for each in judges if each.device != "cpu"]
        device: DeviceSetting = devices[0] if devices else "cpu"
        if not config.uses_cluster:
            return EvaluationHere(self.run.store, device)
        self.start()
        return EvaluationOnCluster(self.run.store, config, device, self.run.config.cluster)

    def start(self) -> None:
        """Find or start the cluster, if the evaluation uses one."""
        if self.run.config.extraction.uses_cluster:
            start_ray()


@dataclass(frozen=True)
class NetworkImages:
    """Everything that one network encodes."""

    judge: JudgeConfig
    sets: StoredSets
    held_out: ListedSet
    chosen: ListedSet | None
    """None if no subset is measured."""
    samples: dict[str, list[Part]]
    """Parts of the samples by their directory."""
    reference: list[Part]

    @classmethod
    def of(
        cls, evaluation: Evaluation, judge: JudgeConfig, samples: Sequence[SampledImages]
    ) -> "NetworkImages":
        """Return what a network encodes for the samples of some checkpoints."""
        sets = evaluation.sets(judge)
        is_main = judge == evaluation.main
        reference = evaluation.reference if is_main else None
        methods = evaluation.measured_subsets
        has_reference = reference is not None
        return cls(
            judge=judge,
            sets=sets,
            held_out=sets.held_out(),
            chosen=sets.chosen(methods) if methods else None,
            samples={
                each.directory: sets.samples(each, has_reference=has_reference) for each in samples
            },
            reference=[] if reference is None else sets.reference(reference),
        )

    @classmethod
    def shared(cls, evaluation: Evaluation, judge: JudgeConfig) -> "NetworkImages":
        """Return what a network encodes for every process that shares the run directory."""
        sets = evaluation.sets(judge)
        is_main = judge == evaluation.main
        reference = evaluation.reference if is_main else None
        parts = [] if reference is None else sets.reference(reference)
        return cls(judge, sets, sets.held_out(), None, {}, parts)

    @property
    def listed(self) -> list[ListedSet]:
        """The images of sources."""
        return [self.held_out] if self.chosen is None else [self.held_out, self.chosen]

    @property
    def parts(self) -> list[Part]:
        """The images that are stored as pixels."""
        return [part for parts in (*self.samples.values(), self.reference) for part in parts]

    @property
    def count(self) -> int:
        """Number of all images."""
        return sum(len(each.listing) for each in self.listed) + _images(self.parts)

    def files(self, method: str, samples: SampledImages | None) -> NetworkFiles:
        """Return where the features of one measurement are.

        Args:
            method: the subset.
            samples: those to measure; None measures the subset itself.
        """
        assert self.chosen is not None
        parts = [] if samples is None else self.samples[samples.directory]
        reference = [] if samples is None else self.reference
        return NetworkFiles(
            self.judge,
            StoredFeatures(self.held_out.files),
            self.sets.of_method(self.chosen, method),
            tuple(part.result for part in parts),
            tuple(part.result for part in reference),
        )


def _images(parts: Iterable[Part]) -> int:
    return sum(part.count for part in parts)


@dataclass
class ImageEncoding:
    """The encoding of all images through all networks."""

    store: Store
    place: LazyPlace
    networks: Sequence[NetworkImages]
    on_progress: OnProgress
    done: int = field(default=0, init=False)

    def run(self, config: ExtractionConfig, cluster: ClusterConfig) -> None:
        """Encode what earlier starts have not encoded.

        Args:
            config: resources; they do not change the result.
            cluster: what the cluster can have, and how long to wait for it.

        Raises: InputError naming an image that cannot be used.
        """
        open_sets = [each for network in self.networks for each in network.listed]
        open_sets = [each for each in open_sets if not each.is_encoded()]
        missing = [self._missing(network.parts) for network in self.networks]
        images = sum(len(each.listing) for each in open_sets)
        self._count(self._total - images - sum(_images(parts) for parts in missing))
        for listed in open_sets:
            self.place.start()
            listed.encode(config, self._count, cluster)
        for network, parts in zip(self.networks, missing, strict=True):
            if parts:
                self._encode_parts(network.judge, parts)

    @property
    def _total(self) -> int:
        return sum(network.count for network in self.networks)

    def _missing(self, parts: Sequence[Part]) -> list[Part]:
        """Return the parts that are not encoded; a file that is as it was is not read again."""
        checked = self._checked(parts)
        missing = [part for part in parts if not _is_encoded(self.store, part, checked)]
        for each in checked.values():
            each.save()
        return missing

    def _encode_parts(self, judge: JudgeConfig, parts: Sequence[Part]) -> None:
        checked = self._checked(parts)
        for part in self.place.get.encode(judge, parts):
            checked[part.directory].add(part.result, part.fingerprint, part.count)
            self._count(part.count)
        for each in checked.values():
            each.save()

    def _checked(self, parts: Sequence[Part]) -> dict[str, Checked]:
        """Return what is known of the files of parts, by their directories."""
        return {each: Checked.load(self.store, each) for each in _directories(parts)}

    def _count(self, images: int) -> None:
        self.done += images
        self.on_progress(self.done, self._total)


def _directories(parts: Iterable[Part]) -> list[str]:
    return list(dict.fromkeys(part.directory for part in parts))


def _is_encoded(store: Store, part: Part, checked: dict[str, Checked]) -> bool:
    known = checked[part.directory].known(part.result)
    if known is not None:
        return known.fingerprint == part.fingerprint
    if not part.is_encoded(store):
        return False
    checked[part.directory].add(part.result, part.fingerprint, part.count)
    return True
