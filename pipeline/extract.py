"""Features of every image: shards are read in storage order, and regrouped into class files."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from otcondense.datasets import Listing, SourceConfig, source_listing
from otcondense.encoders import EncoderConfig, weights_sha256
from otcondense.errors import InputError
from otcondense.store import Store, fingerprint
from pipeline.checked import Checked
from pipeline.class_plan import ClassPlan, plan_parts, planned_rows, remove_parts
from pipeline.cluster_config import ANY_CLUSTER, ClusterConfig
from pipeline.extraction_config import ExtractionConfig
from pipeline.feature_work import FeatureWork
from pipeline.finished_classes import FinishedClasses
from pipeline.quarantine import Lost, check_lost_share, quarantine_file, write_quarantine
from pipeline.run_shards import encode_classes
from pipeline.same_content import SameContent
from pipeline.work import Target

OnProgress = Callable[[int, int], None]
"""Gets the number of images that are done, and their total."""


@dataclass(frozen=True)
class ExtractionResult:
    """Counts of one extraction."""

    num_images: int
    """Images with features, over all classes."""
    num_quarantined: int
    """Images that cannot be used; with `num_images` they add up to the images of the source."""
    num_ignored: int
    """Files of the source whose name is not that of an image."""
    classes_done: int
    """Classes that were encoded by this call, or a part of them."""
    classes_skipped: int
    """Classes that were already finished with the same fingerprint, or with the same content."""
    classes_recognised: int = 0
    """Those of the skipped classes whose images have other times and the same content."""


def extract_features(
    store_root: str,
    directory: str,
    source: SourceConfig,
    encoder: EncoderConfig,
    config: ExtractionConfig,
    stage_fingerprint: str,
    on_progress: OnProgress = lambda _done, _total: None,
    cluster: ClusterConfig = ANY_CLUSTER,
) -> ExtractionResult:
    """Write one feature file per class of `source`, and `_quarantine.parquet`.

    A class of more than `PART_ROWS` images gets several files. A file that is already finished
    with the same inputs is skipped. A killed run loses only the
    shards that were in progress.

    Args:
        store_root: root of the run.
        directory: of the feature files, below the root.
        source: the images.
        encoder: the network.
        config: resources; they do not change the result.
        stage_fingerprint: of all settings of the stage.
        on_progress: called after every shard.
        cluster: what the cluster can have, and how long to wait for it.

    Raises: InputError if source, encoder and cluster do not fit together, or too many images cannot
        be used.
    """
    store = Store(store_root)
    listing = source_listing(store, source)
    target = feature_target(store, directory, listing, encoder, source)
    return extract_listed(
        target, stage_fingerprint, config, source.max_lost_share, on_progress, cluster
    )


def extract_listed(
    target: Target,
    stage_fingerprint: str,
    config: ExtractionConfig,
    max_lost_share: float,
    on_progress: OnProgress,
    cluster: ClusterConfig = ANY_CLUSTER,
) -> ExtractionResult:
    """Write the features of the images of a target, as `extract_features` does.

    Args:
        target: of features.
        stage_fingerprint: of all settings of the stage.
        config: resources; they do not change the result.
        max_lost_share: largest share of images that may be unreadable.
        on_progress: called after every shard.
        cluster: what the cluster can have, and how long to wait for it.

    Raises: InputError as `extract_features` does.
    """
    checked = Checked.load(target.store, target.directory)
    plan = _plan(target, plan_features(target, stage_fingerprint), checked)
    count = _Count(target, max_lost_share, on_progress, plan)
    try:
        if plan.open:
            remove_parts(target.store, target.directory, plan.open)
            encode_classes(target, plan.open, config, count.add, cluster)
    finally:
        write_quarantine(target.store, target.directory, count.lost)
    count.check()
    assert count.done == count.total, f"{count.total} images went in, {count.done} came out"
    _keep_checked(target, plan, count.unreadable, checked)
    classes_done = len({each.name for each in plan.open})
    return ExtractionResult(
        num_images=count.total - len(count.lost),
        num_quarantined=len(count.lost),
        num_ignored=len(target.listing.ignored),
        classes_done=classes_done,
        classes_skipped=len(target.listing.names) - classes_done,
        classes_recognised=plan.recognised,
    )


def feature_target(
    store: Store, directory: str, listing: Listing, encoder: EncoderConfig, source: SourceConfig
) -> Target:
    """Return what the extraction of the features of a source reads and writes.

    Args:
        store: the run.
        directory: of the feature files, below its root.
        listing: of the source.
        encoder: the network.
        source: the images.

    Raises: InputError if the classifier has other classes than the source.
    """
    _check_classes(encoder, listing, source)
    work = FeatureWork(encoder, weights_sha256(encoder), source.max_pixels)
    return Target(store, directory, listing, work)


def plan_features(target: Target, stage_fingerprint: str) -> list[ClassPlan]:
    """Return the plan of each feature file.

    Args:
        target: of features.
        stage_fingerprint: of all settings of the stage.
    """
    return plan_parts(target.listing, fingerprint([stage_fingerprint, target.work.key]))


def _check_classes(encoder: EncoderConfig, listing: Listing, source: SourceConfig) -> None:
    classes = encoder.classes()
    if classes not in (0, len(listing.classes)):
        raise InputError(
            f"the classifier of {encoder.name} has {classes} classes, "
            f"{source.path} has {len(listing.classes)} folders; a confidence in the true class "
            "needs one logit per folder: use a classifier of these classes, or num_classes=0 for "
            "features only"
        )


@dataclass(frozen=True)
class _Plan:
    """The work of one extraction."""

    open: list[ClassPlan]
    """The files to write, in the order of the listing."""
    lost: list[Lost]
    """The images that earlier runs could not use, of the other files."""
    recognised: int
    """Classes without open files, one of them with images of other times and the same content."""


def _plan(target: Target, plans: Sequence[ClassPlan], checked: Checked) -> _Plan:
    """Look for finished files, and for files whose images have the same content."""
    transform = target.work.transform()
    known = FinishedClasses(target, checked, transform)
    lost: list[Lost] = []
    changed = []
    for plan in plans:
        found = known.lost(plan)
        if found is None:
            changed.append(plan)
        else:
            lost += found

    search = SameContent(target, transform)
    same = search.find(changed)
    for plan in changed:
        if plan in same:
            search.keep(plan, same[plan])
            lost += same[plan]
    still_open = [plan for plan in changed if plan not in same]
    recognised = {plan.name for plan in same} - {plan.name for plan in still_open}
    return _Plan(still_open, lost, len(recognised))


def _keep_checked(target: Target, plan: _Plan, lost: list[Lost], checked: Checked) -> None:
    """Keep the facts of the files that were written just now: they need not be read again."""
    listing = target.listing
    rows = list(listing.find(each.image_id for each in lost).values())
    unusable = Counter(planned_rows(listing, plan.open)[rows].tolist())
    for place, each in enumerate(plan.open):
        checked.add(each.file(target.directory), each.fingerprint, each.size - unusable[place])
    checked.save()


@dataclass
class _Count:
    """The images that are done, and those that cannot be used."""

    target: Target
    max_lost_share: float
    on_progress: OnProgress
    plan: _Plan
    done: int = 0
    lost: list[Lost] = field(default_factory=list)

    def __post_init__(self) -> None:
        unusable = self.target.listing.unusable
        self.lost = [Lost(each.image_id, each.class_name, each.reason) for each in unusable]
        self.lost += self.plan.lost
        self.done = self.total - sum(plan.size for plan in self.plan.open)
        self.on_progress(self.done, self.total)

    @property
    def unreadable(self) -> list[Lost]:
        """The lost images but those that the listing had not found usable."""
        return self.lost[len(self.target.listing.unusable) :]

    @property
    def total(self) -> int:
        """Images of the source, also those that cannot be used."""
        return len(self.target.listing) + len(self.target.listing.unusable)

    def add(self, images: int, lost: Sequence[Lost]) -> None:
        """Count the images of a shard.

        Raises: InputError if too many images cannot be used.
        """
        self.done += images
        self.lost += lost
        self.check()
        self.on_progress(self.done, self.total)

    def check(self) -> None:
        """Check that not too many images are unusable.

        Raises: InputError listing the first few.
        """
        where = self.target.store.path(quarantine_file(self.target.directory))
        check_lost_share(self.lost, self.total, self.max_lost_share, where)
