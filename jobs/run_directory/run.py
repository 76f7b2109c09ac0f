"""The names of the files of a run."""

import platform
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from jobs.run_directory.config import RunConfig
from otcondense import __version__
from otcondense.config import Config
from otcondense.encoders import EncoderConfig
from otcondense.errors import InputError
from otcondense.representations import (
    REPRESENTATIONS_SCHEMA_VERSION,
    LatentConfig,
    RepresentationConfig,
)
from otcondense.store import (
    CONFIDENCES_SCHEMA_VERSION,
    DIFFICULTIES_SCHEMA_VERSION,
    FEATURES_SCHEMA_VERSION,
    SELECTION_SCHEMA_VERSION,
    Store,
    fingerprint,
    hash8,
    read_manifest,
    sha256_bytes,
)

LAYOUT_VERSION = 1
REPORT = "report.html"
CURVE_FILE = "metrics.jsonl"
"""Name of the loss curve in the directory of a training."""
VERSIONED = ("torch", "torchvision", "timm", "ray", "numpy", "pyarrow", "POT", "torch-fidelity")
RESOURCE_FIELDS = frozenset({"device", "memory_limit_gb", "num_workers", "pool", "threads"})
"""Settings that change where and how fast a stage runs, never what it writes."""


def identity(value: Any) -> Any:
    """Return a configuration as JSON without the settings that cannot change a result.

    A component that knows more precisely which settings those are has an `identity` of its own.
    """
    if hasattr(value, "identity"):
        return value.identity()
    plain = value.model_dump(mode="json") if isinstance(value, Config) else value
    if isinstance(plain, dict):
        return {key: identity(each) for key, each in plain.items() if key not in RESOURCE_FIELDS}
    return [identity(each) for each in plain] if isinstance(plain, list) else plain


@dataclass(frozen=True)
class Run:
    """A run directory: its configuration, its files and the names they have.

    Each stage's directory carries eight digits of the hash of its configuration and of all it was made from.
    """

    config: RunConfig
    store: Store = field(init=False)

    def __post_init__(self) -> None:
        # Workers have working directories of their own: every path that reaches one is absolute.
        root = self.config.run if "://" in self.config.run else str(Path(self.config.run).resolve())
        object.__setattr__(self, "store", Store(root))

    def features_key(self, encoder: EncoderConfig) -> list[Any]:
        """Return what the features of `encoder` are made from; features that were given are made from nothing else."""
        if not self.config.source.has_images:
            return [FEATURES_SCHEMA_VERSION, identity(self.config.source)]
        return [FEATURES_SCHEMA_VERSION, identity(self.config.source), identity(encoder)]

    def features_directory(self, encoder: EncoderConfig) -> str:
        """Return where the features of `encoder` are."""
        name = "given" if not self.config.source.has_images else encoder.name.replace("/", "-")
        return f"features/{name}-{hash8(self.features_key(encoder))}"

    def probe_key(self) -> list[Any]:
        """Return what the confidences of the probe are made from."""
        return [
            CONFIDENCES_SCHEMA_VERSION,
            self.features_key(self.config.encoder),
            identity(self.config.confidence),
        ]

    def confidence_directory(self) -> str | None:
        """Return where the confidences for the selection are, which may be where the features are; None if it does without."""
        confidence = self.config.confidence
        if confidence.kind == "probe":
            return f"scores/probe-{hash8(self.probe_key())}"
        return (
            None
            if confidence.kind == "none"
            else self.features_directory(confidence.classifier or self.config.encoder)
        )

    def scores_key(self, kind: str) -> list[Any]:
        """Return what the difficulty scores of one kind are made from."""
        settings = getattr(self.config.scores, kind)
        return [
            DIFFICULTIES_SCHEMA_VERSION,
            self.features_key(self.config.encoder),
            kind,
            identity(settings),
        ]

    def scores_directory(self, kind: str) -> str:
        """Return where the difficulty scores of one kind are."""
        return f"scores/{kind}-{hash8(self.scores_key(kind))}"

    def difficulty_directory(self, method: str) -> str | None:
        """Return where the scores are that `method` goes by, None for a method that needs none."""
        kind = dict[str, str](self.config.selection.difficulty).get(method)
        return None if kind is None else self.scores_directory(kind)

    def selection_key(self, method: str) -> list[Any]:
        """Return what the selection by `method` is made from."""
        selection = self.config.selection
        settings, images = (
            selection.selector_settings(method, 1),
            (selection.include, selection.exclude),
        )
        return [
            SELECTION_SCHEMA_VERSION,
            self.features_key(self.config.encoder),
            method,
            identity(selection.budget),
            *map(list, images),
            identity(settings),
            *identity(self.config.confidence),
            *filter(None, [self.difficulty_directory(method)]),
        ]

    def selection_directory(self, method: str) -> str:
        """Return where the selections by `method` are, a directory for each class."""
        return f"selection/{method}-{hash8(self.selection_key(method))}"

    def manifest(self, method: str) -> str:
        """Return the name of the manifest of the subset that `method` chose."""
        return f"subset-{method}-{hash8(self.selection_key(method))}.parquet"

    def manifest_fingerprint(self, method: str) -> str:
        """Return the SHA-256 of the manifest, the input of all that is made from the subset.

        Raises: InputError if the subset has not been selected yet.
        """
        if not self.store.exists(self.manifest(method)):
            raise InputError(
                f"run {self.store.root} has no subset by {method} yet; run `python -m jobs.select_subset` first"
            )
        return sha256_bytes(self.store.read_bytes(self.manifest(method)))

    def chosen_classes(self, method: str) -> tuple[int, ...]:
        """Return the indices of the classes that have images in the subset by `method`.

        Raises: InputError if the subset is damaged.
        """
        return tuple(
            sorted(
                set(
                    read_manifest(self.store, self.manifest(method))
                    .column("class_index")
                    .to_pylist()
                )
            )
        )

    def images_file(self, method: str) -> str:
        """Return the name of the chosen images as pixels, the input of training."""
        return f"training/images-{method}-{hash8([self.selection_key(method), identity(self.config.pixels)])}.parquet"

    def training_directory(self, model: str, method: str) -> str:
        """Return where `model`, trained on the subset by `method`, is."""
        training = self.config.models[model].training
        key = [self.selection_key(method), identity(self.config.pixels), identity(training)]
        parts = {
            "latents": training.data == "latents",
            "tokens": training.alignment is not None,
            "text": training.text,
        }
        key += [
            {part: getattr(self.config, part).identity()} for part, used in parts.items() if used
        ]
        return f"training/{model}-{method}-{hash8(key)}"

    def samples_directory(self, model: str, method: str, step: int) -> str:
        """Return where the samples of one checkpoint are."""
        sampling = identity(self.config.models[model].sampling)
        return f"{self.training_directory(model, method)}/samples/{step:07d}-{hash8(sampling)}"

    def metrics_file(self, model: str, method: str, step: int) -> str:
        """Return the name of the metrics of one checkpoint's samples."""
        judge, sampling = (
            self.features_key(self.config.judge_or_encoder),
            identity(self.config.models[model].sampling),
        )
        key = [sampling, judge, identity(self.config.evaluation), identity(self.config.held_out)]
        key += (
            [{name: identity(each) for name, each in self.config.judges.items()}]
            if self.config.judges
            else []
        )
        return f"{self.training_directory(model, method)}/metrics/{step:07d}-{hash8(key)}.json"

    def representation_directory(self, kind: str, config: RepresentationConfig) -> str:
        """Return the directory of the latents or tokens of this run.

        Latents of other subsets have directories of their own, so that trials that share a run
        directory do not overwrite each other's.
        """
        key = [REPRESENTATIONS_SCHEMA_VERSION, identity(self.config.source), config.identity()]
        if config.images == "subsets":
            key += [self.selection_key(method) for method in self.config.selection.methods]
        return f"{kind}/{config.image_size}-{hash8(key)}"

    def latents_of_all(self) -> LatentConfig:
        """Return the latent settings for scoring: all images with features, not only subsets."""
        return self.config.latents.model_copy(update={"images": "source"})

    def text_file(self) -> str:
        """Return the name of the text embeddings of the class names."""
        source = identity(self.config.source)
        key = [REPRESENTATIONS_SCHEMA_VERSION, source, self.config.text.identity()]
        return f"text/{hash8(key)}/embeddings.parquet"

    def trainings(self) -> list[tuple[str, str]]:
        """Return every pair of model and selection method that is trained."""
        return self.config.trainings

    def checkpoints(self) -> list[tuple[str, str, int]]:
        """Return model, method and step of every checkpoint that is sampled and evaluated."""
        models = self.config.models
        return [
            (name, method, step)
            for name, method in self.trainings()
            for step in models[name].training.kept_steps
        ]

    def description(self) -> dict[str, Any]:
        """Return the resolved configuration with the versions it runs on and the fingerprint of its source."""
        return {
            "layout": LAYOUT_VERSION,
            "source": fingerprint(identity(self.config.source)),
            "configuration": self.config.model_dump(mode="json"),
            "versions": {
                "otcondense": __version__,
                "python": platform.python_version(),
                **{n: metadata.version(n) for n in VERSIONED},
            },
        }
