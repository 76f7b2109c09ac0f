"""What a card says of a subset, besides its images: where they come from, how they were chosen."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from otcondense.errors import InputError
from otcondense.exports.card.licences import Licence
from otcondense.exports.card.markdown import is_address, plain
from otcondense.report.answer import Compared


@dataclass(frozen=True)
class Origin:
    """Where the images come from, as the person who publishes them says it.

    The path of the source is never told: it can hold a name of a machine, a person or a key.
    """

    name: str | None = None
    url: str | None = None
    layout: str = ""
    """How the source is laid out, such as `PATH/CLASS/IMAGE`."""
    images_are_files: bool = True
    """Whether every image is a file of the source, and its id the path of the file there."""

    def __post_init__(self) -> None:
        if self.name is not None and not plain(self.name):
            raise InputError("--source-name must be a name, found an empty one")
        if self.url is not None and not is_address(self.url):
            raise InputError(
                "--source-url must be an address such as https://example.org/images, without a "
                f"password in it, found {self.url!r}"
            )


@dataclass(frozen=True)
class Choice:
    """How the images were chosen."""

    method: str
    """Name of the selector."""
    meaning: str
    """What the method does, in one sentence."""
    budget: str
    """In words."""
    seed: int
    settings: Mapping[str, str]
    """Of the method, by name."""
    compared: str
    """What the method looked at, in words."""
    encoder: str = ""
    """Names of the networks whose features were compared; empty if there was none."""
    others: Mapping[str, str] = field(default_factory=dict)
    """Further facts: copies, images that had to be in, images that had to stay out."""
    manifest_sha256: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Of the packages that the run was made with."""


@dataclass(frozen=True)
class ClassFacts:
    """What the selection of one class or group found."""

    name: str
    num_images: int
    """Candidates, copies of held-out images left out."""
    num_chosen: int
    measures: Mapping[str, float]
    """As `selection_measures` returns them."""


@dataclass(frozen=True)
class Measured:
    """Metrics of the subset itself, or of a model that was trained on it."""

    what: str
    network: str
    """The judge: the network that looked at the images."""
    num_held_out: int
    values: Mapping[str, float]
    """By the names of `otcondense.evaluation.registry.METRICS`; NAME_std is a standard error."""


@dataclass(frozen=True)
class About:
    """Everything that a card says besides what lies in the files; all of it may be unknown."""

    licence: Licence | None = None
    origin: Origin = Origin()
    choice: Choice | None = None
    classes: tuple[ClassFacts, ...] = ()
    """What each class found; in a run with groups, what each group found."""
    unit: str = "class"
    """What each of `classes` is, for one: a class or a group."""
    whole: str = "its class"
    """What an image represents a share of: its class, or all images."""
    together: Mapping[str, float] | None = None
    """Measures of all groups together, by the names of `ClassFacts.measures`; None of classes."""
    measured: tuple[Measured, ...] = ()
    compared: tuple[Compared, ...] = ()
    """With random draws."""
    remark: str = ""
    """What to know before the comparisons are believed; empty for nothing."""
    repository: str | None = None
    """ORG/NAME on the Hub; None if it is not known."""
