"""The names of the files of a run.

The directory of each stage ends in eight digits of a hash: of its settings and of all its inputs.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jobs.run_directory.config import RunConfig
from jobs.run_directory.identity import identity
from jobs.run_directory.marker import store_of
from jobs.run_directory.polish_rules import POLISHED
from otcondense.encoders import EncoderConfig
from otcondense.errors import MissingInputError
from otcondense.representations import (
    REPRESENTATIONS_SCHEMA_VERSION,
    LatentConfig,
    RepresentationConfig,
)
from otcondense.representations.text_config import CAPTIONS, class_names_file, no_caption_file
from otcondense.selection.registry import versioned
from otcondense.store import (
    CONFIDENCES_SCHEMA_VERSION,
    DIFFICULTIES_SCHEMA_VERSION,
    FEATURES_SCHEMA_VERSION,
    GROUPS_SCHEMA_VERSION,
    SELECTION_SCHEMA_VERSION,
    FeaturePart,
    FeatureView,
    Store,
    hash8,
    read_manifest,
    sha256_bytes,
)
from otcondense.unit_rows import COSINE

if TYPE_CHECKING:
    from otcondense.datasets import Listing

REPORT = "report.html"
PATH_METHOD = "geometry_aware"
"""Method whose objective shares budgets among groups, for the subsets of all methods."""
POLISH_VERSION = 1
"""Raised when the same settings polish to other images."""


@dataclass(frozen=True)
class Run:
    """A run directory: its configuration, its store and the names of its files.

    A `method` of a subset and of what is made from it is the name of the subset: with nested
    budgets METHOD-BUDGET (see `SelectionConfig.subsets`).

    Methods called `..._key` return the settings and inputs that a result is made from, in the
    order that its hash expects.
    """

    config: RunConfig
    store: Store = field(init=False)
    scanned: "list[Listing]" = field(default_factory=list, init=False, repr=False, compare=False)
    """The listing of the source that this command made and has not stored yet."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "store", store_of(self.config.run))

    def features_key(self, encoder: EncoderConfig) -> list[Any]:
        """Return the inputs of the features of `encoder`; given features have their source only."""
        key = [FEATURES_SCHEMA_VERSION, identity(self.config.source)]
        if self.config.source.has_images:
            key.append(identity(encoder))
        return key

    def features_directory(self, encoder: EncoderConfig) -> str:
        """Return the directory of the features of `encoder`."""
        name = encoder.file_name if self.config.source.has_images else "given"
        return f"features/{name}-{hash8(self.features_key(encoder))}"

    def features_view(self) -> FeatureView:
        """Return the features as the selection sees them: of one encoder, or several joined."""
        is_cosine = self.config.selection.cost == COSINE
        parts = []
        for each in self.config.selecting:
            is_unit = is_cosine or each.normalize == "l2"
            parts.append(FeaturePart(self.features_directory(each), is_unit, each.weight))
        return FeatureView(tuple(parts))

    def view_key(self) -> list[Any]:
        """Return the inputs of the features as the selection sees them."""
        keys = [self.features_key(each) for each in self.config.selecting]
        rules = self.features_view().rules
        return [*keys, rules] if rules else keys[0]

    def probe_key(self) -> list[Any]:
        """Return the inputs of the confidences of the probe."""
        features = self.view_key()
        return [CONFIDENCES_SCHEMA_VERSION, features, identity(self.config.confidence)]

    def alignment_key(self) -> list[Any]:
        """Return the inputs of the agreement of images with their captions."""
        aligning = self.config.confidence.aligning
        assert aligning is not None, "the confidence is of this kind"
        features = self.features_key(aligning)
        return [CONFIDENCES_SCHEMA_VERSION, features, identity(self.config.confidence)]

    def confidence_directory(self) -> str | None:
        """Return the directory of the confidences for the selection; None if it uses none.

        Confidences of a classifier lie with its features.
        """
        confidence = self.config.confidence
        if confidence.kind == "probe":
            return f"scores/probe-{hash8(self.probe_key())}"
        if confidence.kind == "alignment":
            return f"scores/alignment-{hash8(self.alignment_key())}"
        if confidence.kind == "none":
            return None
        return self.features_directory(confidence.classifier or self.config.encoder)

    def groups_key(self) -> list[Any]:
        """Return the inputs of the groups; their files hold the confidences, too."""
        settings = [identity(self.config.groups), identity(self.config.confidence)]
        return [GROUPS_SCHEMA_VERSION, self.view_key(), *settings]

    def groups_directory(self) -> str | None:
        """Return the directory of the groups and their features; None if classes are selected."""
        return None if self.config.groups is None else f"groups/{hash8(self.groups_key())}"

    def selection_view(self) -> FeatureView:
        """Return the features that selectors read: of groups if there are some, else of classes."""
        directory = self.groups_directory()
        return self.features_view() if directory is None else FeatureView.of(directory)

    def selection_confidences(self) -> str | None:
        """Return the directory of the confidences that selectors read; groups hold their own."""
        return self.groups_directory() or self.confidence_directory()

    def captions_file(self) -> str:
        """Return the name of the captions of the source: `image_id` and `caption` of each image."""
        return f"listing/captions-{hash8([identity(self.config.source)])}.parquet"

    def scores_key(self, kind: str) -> list[Any]:
        """Return the inputs of the difficulty scores of one kind."""
        features = self.view_key()
        settings = identity(getattr(self.config.scores, kind))
        return [DIFFICULTIES_SCHEMA_VERSION, features, kind, settings]

    def scores_directory(self, kind: str) -> str:
        """Return the directory of the difficulty scores of one kind."""
        return f"scores/{kind}-{hash8(self.scores_key(kind))}"

    def difficulty_directory(self, method: str) -> str | None:
        """Return the directory of the scores that `method` uses, or None."""
        kind = dict[str, str](self.config.selection.difficulty).get(method)
        return None if kind is None else self.scores_directory(kind)

    def selection_difficulties(self, method: str) -> str | None:
        """Return the directory of the scores that `method` reads: of groups or of classes."""
        directory, groups = self.difficulty_directory(method), self.groups_directory()
        if directory is None or groups is None:
            return directory
        return f"{groups}/{directory}"

    def held_out_hashes(self) -> str | None:
        """Return the name of the hashes of the held-out images; None if nothing compares them."""
        held_out = self.config.held_out
        if held_out is None or self.config.selection.held_out_copies == "keep":
            return None
        if not (held_out.has_images and self.config.source.has_images):
            return None
        return f"held_out/sha256-{hash8([identity(held_out)])}.parquet"

    def is_polished(self, subset: str) -> bool:
        """Tell whether the choices of groups are improved together, for one subset by its name."""
        selection = self.config.selection
        is_of_method = selection.subset(subset).method == POLISHED
        return selection.polish and self.config.groups is not None and is_of_method

    def selection_key(self, subset: str) -> list[Any]:
        """Return the inputs of the selection of one subset, by its name."""
        polished: list[Any] = ["polish", POLISH_VERSION] if self.is_polished(subset) else []
        return [*self._unpolished_key(subset), *polished]

    def _unpolished_key(self, subset: str) -> list[Any]:
        selection = self.config.selection
        chosen = selection.subset(subset)
        method = chosen.method
        key = [
            SELECTION_SCHEMA_VERSION,
            self.view_key(),
            versioned(method),
            [identity(budget) for budget in chosen.budgets],
            list(selection.included()),
            sorted(selection.excluded()),
            identity(selection.selector_settings(method, 1)),
            *identity(self.config.confidence),
            *self._copies_key(method),
        ]
        difficulty = self.difficulty_directory(method)
        if difficulty is not None:
            key.append(difficulty)
        if self.config.groups is not None:
            key += [self.groups_key(), selection.allocation]
            if selection.allocation == "objective":
                key.append(self.paths_directory())
        return key

    def paths_directory(self) -> str:
        """Return the directory of the course of the objective in each group."""
        selection = self.config.selection
        budgets = selection.budgets or (selection.budget,)
        key = [
            SELECTION_SCHEMA_VERSION,
            self.groups_key(),
            versioned(PATH_METHOD),
            [identity(budget) for budget in budgets],
            list(selection.included()),
            sorted(selection.excluded()),
            identity(selection.selector_settings(PATH_METHOD, 1)),
            *self._copies_key(PATH_METHOD),
        ]
        return f"selection/paths-{hash8(key)}"

    def _copies_key(self, method: str) -> list[Any]:
        """Return what decides about copies."""
        selection = self.config.selection
        duplicates = selection.duplicates_of(method)
        key: list[Any] = [duplicates]
        if duplicates != "keep":
            key.append(selection.near_copies)
        if self.held_out_hashes() is not None:
            key += [self.held_out_hashes(), selection.held_out_copies]
        return key

    def selection_directory(self, method: str) -> str:
        """Return the directory of the selections by `method`; it holds one directory per class."""
        return f"selection/{method}-{hash8(self.selection_key(method))}"

    def unpolished_directory(self, method: str) -> str:
        """Return the directory of what each group chooses by itself, of a subset by its name.

        It is the directory of the selections, unless they are polished.
        """
        return f"selection/{method}-{hash8(self._unpolished_key(method))}"

    def manifest(self, method: str) -> str:
        """Return the name of the manifest of the subset that `method` chose."""
        return f"subset-{method}-{hash8(self.selection_key(method))}.parquet"

    def manifest_fingerprint(self, method: str) -> str:
        """Return the SHA-256 of the manifest, an input of everything made from the subset.

        Raises: MissingInputError if the subset has not been selected yet.
        """
        name = self.manifest(method)
        if not self.store.exists(name):
            message = f"run {self.store.root} has no subset by {method} yet"
            raise MissingInputError(message, file=name)
        return sha256_bytes(self.store.read_bytes(name))

    def chosen_classes(self, method: str) -> tuple[int, ...]:
        """Return the indices of the classes that have images in the subset by `method`.

        Raises: InputError if the subset is damaged.
        """
        manifest = read_manifest(self.store, self.manifest(method))
        return tuple(sorted(set(manifest.column("class_index").to_pylist())))

    def images_file(self, method: str) -> str:
        """Return the name of the chosen images as pixels, the input of training."""
        key = [self.selection_key(method), identity(self.config.pixels)]
        return f"training/images-{method}-{hash8(key)}.parquet"

    def held_out_pixels_file(self) -> str:
        """Return the name of held-out images as pixels, for the denoising loss."""
        key = [identity(self.config.held_out), identity(self.config.pixels)]
        return f"held_out/pixels-{hash8(key)}.parquet"

    def representation_directory(self, kind: str, config: RepresentationConfig) -> str:
        """Return the directory of the latents or tokens of this run.

        Latents of other subsets have directories of their own, so that trials that share a run
        directory do not overwrite each other's.
        """
        key = [REPRESENTATIONS_SCHEMA_VERSION, identity(self.config.source), config.identity()]
        if config.images == "subsets":
            key += [self.selection_key(method) for method in self.config.selection.subsets]
        return f"{kind}/{config.image_size}-{hash8(key)}"

    def latents_of_all(self) -> LatentConfig:
        """Return the latent settings for scoring: all images with features, not only subsets."""
        return self.config.latents.model_copy(update={"images": "source"})

    def pixels_directory(self) -> str:
        """Return the directory of the pixels of all images with features, for scoring."""
        shape = self.config.pixels.shape
        key = [identity(self.config.source), list(shape)]
        return f"pixels/{shape[1]}-{hash8(key)}"

    def text_directory(self) -> str:
        """Return the directory of the text embeddings of this run."""
        source, text = identity(self.config.source), self.config.text
        key: list[Any] = [REPRESENTATIONS_SCHEMA_VERSION, source, text.identity()]
        if text.of == CAPTIONS and text.images == "subsets":
            key += [self.selection_key(method) for method in self.config.selection.subsets]
        return f"text/{hash8(key)}"

    def text_file(self) -> str:
        """Return the name of the text embeddings of the class names."""
        return class_names_file(self.text_directory())

    def no_caption_file(self) -> str:
        """Return the name of the embedding of no caption; those of captions lie in the folder."""
        return no_caption_file(self.text_directory())

    def training_directory(self, model: str, method: str) -> str:
        """Return the directory of `model` trained on the subset by `method`."""
        training = self.config.models[model].training
        key = [self.selection_key(method), identity(self.config.pixels), identity(training)]
        for part in ("latents", "tokens", "text"):
            if part in training.extra_inputs:
                key.append({part: getattr(self.config, part).identity()})
        return f"training/{model}-{method}-{hash8(key)}"

    def samples_directory(self, model: str, method: str, step: int) -> str:
        """Return the directory of the samples of one checkpoint."""
        sampling = identity(self.config.models[model].sampling)
        return f"{self.training_directory(model, method)}/samples/{step:07d}-{hash8(sampling)}"

    def prompts_file(self, model: str, method: str) -> str:
        """Return the name of the prompts of the samples of all checkpoints of one training."""
        hashed = hash8(identity(self.config.models[model].sampling))
        return f"{self.training_directory(model, method)}/samples/prompts-{hashed}.parquet"

    def metrics_file(self, model: str, method: str, step: int) -> str:
        """Return the name of the metrics of the samples of one checkpoint."""
        config = self.config
        key = [
            identity(config.models[model].sampling),
            self.features_key(config.judge_or_encoder),
            identity(config.evaluation),
            identity(config.held_out),
        ]
        if config.judges:
            key.append({name: identity(judge) for name, judge in config.judges.items()})
        return f"{self.training_directory(model, method)}/metrics/{step:07d}-{hash8(key)}.json"

    def trainings(self) -> list[tuple[str, str]]:
        """Return every pair of model and selection method that is trained."""
        return self.config.trainings

    def checkpoints(self) -> list[tuple[str, str, int]]:
        """Return model, method and step of every checkpoint that is sampled and evaluated."""
        found = []
        for name, method in self.trainings():
            for step in self.config.models[name].training.kept_steps:
                found.append((name, method, step))
        return found
