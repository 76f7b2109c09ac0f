"""What is where in a run, and who may write there."""

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from jobs.config import RunConfig
from otcondense import __version__
from otcondense.config import Config
from otcondense.encoders import EncoderConfig
from otcondense.errors import InputError
from otcondense.store import (
    CONFIDENCES_SCHEMA_VERSION,
    DIFFICULTIES_SCHEMA_VERSION,
    FEATURES_SCHEMA_VERSION,
    SELECTION_SCHEMA_VERSION,
    DriverLock,
    Store,
    fingerprint,
    hash8,
    read_manifest,
    sha256_bytes,
)

LAYOUT_VERSION = 1
VERSIONED = ("torch", "torchvision", "timm", "ray", "numpy", "pyarrow", "POT", "torch-fidelity")
OURS = (
    "features/",
    "scores/",
    "selection/",
    "subset-",
    "training/",
    "latents/",
    "tokens/",
    "text/",
    "logs/",
    "sweeps/",
    "report.html",
    ".lock",
)
"""What the names in a run's directory begin with, beside its description."""
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
        if self.config.source.kind == "features":
            return [FEATURES_SCHEMA_VERSION, identity(self.config.source)]
        return [FEATURES_SCHEMA_VERSION, identity(self.config.source), identity(encoder)]

    def features_directory(self, encoder: EncoderConfig) -> str:
        """Return where the features of `encoder` are."""
        name = "given" if self.config.source.kind == "features" else encoder.name.replace("/", "-")
        return f"features/{name}-{hash8(self.features_key(encoder))}"

    def probe_key(self) -> list[Any]:
        """Return what the confidences of the probe are made from."""
        return [CONFIDENCES_SCHEMA_VERSION, self.features_key(self.config.encoder), identity(self.config.confidence)]

    def confidence_directory(self) -> str | None:
        """Return where the confidences for the selection are, which may be where the features are; None if it does without."""
        confidence = self.config.confidence
        if confidence.kind == "probe":
            return f"scores/probe-{hash8(self.probe_key())}"
        return None if confidence.kind == "none" else self.features_directory(confidence.classifier or self.config.encoder)

    def scores_key(self, kind: str) -> list[Any]:
        """Return what the difficulty scores of one kind are made from."""
        settings = getattr(self.config.scores, kind)
        return [DIFFICULTIES_SCHEMA_VERSION, self.features_key(self.config.encoder), kind, identity(settings)]

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
        settings, images = selection.selector_settings(method, 1), (selection.include, selection.exclude)
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
            raise InputError(f"run {self.store.root} has no subset by {method} yet; run `python -m jobs.select_subset` first")
        return sha256_bytes(self.store.read_bytes(self.manifest(method)))

    def chosen_classes(self, method: str) -> tuple[int, ...]:
        """Return the indices of the classes that have images in the subset by `method`.

        Raises: InputError if the subset is damaged.
        """
        return tuple(sorted(set(read_manifest(self.store, self.manifest(method)).column("class_index").to_pylist())))

    def images_file(self, method: str) -> str:
        """Return the name of the chosen images as pixels, the input of training."""
        return f"training/images-{method}-{hash8([self.selection_key(method), identity(self.config.pixels)])}.parquet"

    def training_directory(self, model: str, method: str) -> str:
        """Return where `model`, trained on the subset by `method`, is."""
        training = self.config.models[model].training
        key = [self.selection_key(method), identity(self.config.pixels), identity(training)]
        parts = {"latents": training.data == "latents", "tokens": training.alignment is not None, "text": training.text}
        key += [{part: getattr(self.config, part).identity()} for part, used in parts.items() if used]
        return f"training/{model}-{method}-{hash8(key)}"

    def samples_directory(self, model: str, method: str, step: int) -> str:
        """Return where the samples of one checkpoint are."""
        sampling = identity(self.config.models[model].sampling)
        return f"{self.training_directory(model, method)}/samples/{step:07d}-{hash8(sampling)}"

    def metrics_file(self, model: str, method: str, step: int) -> str:
        """Return the name of the metrics of one checkpoint's samples."""
        judge, sampling = self.features_key(self.config.judge_or_encoder), identity(self.config.models[model].sampling)
        key = [sampling, judge, identity(self.config.evaluation), identity(self.config.held_out)]
        key += [{name: identity(each) for name, each in self.config.judges.items()}] if self.config.judges else []
        return f"{self.training_directory(model, method)}/metrics/{step:07d}-{hash8(key)}.json"

    def trainings(self) -> list[tuple[str, str]]:
        """Return every pair of model and selection method that is trained."""
        return [(name, method) for name, model in self.config.models.items() for method in model.training.subsets]

    def checkpoints(self) -> list[tuple[str, str, int]]:
        """Return model, method and step of every checkpoint that is sampled and evaluated."""
        models = self.config.models
        return [(name, method, step) for name, method in self.trainings() for step in models[name].training.kept_steps]

    def description(self) -> dict[str, Any]:
        """Return the resolved configuration with the versions it runs on and the fingerprint of its source."""
        return {
            "layout": LAYOUT_VERSION,
            "source": fingerprint(identity(self.config.source)),
            "configuration": self.config.model_dump(mode="json"),
            "versions": {"otcondense": __version__, "python": platform.python_version(), **{n: metadata.version(n) for n in VERSIONED}},
        }


def read_run(root: str) -> Run:
    """Return the run in a directory as its `config.yaml` describes it.

    Raises: InputError if there is no run, or its configuration is damaged.
    """
    store = Store(root)
    if not store.exists("config.yaml"):
        raise InputError(f"{root} must be the directory of a run, found no config.yaml there")
    try:
        values = yaml.safe_load(store.read_bytes("config.yaml"))["configuration"]
        return Run(RunConfig.model_validate({**values, "run": root}))
    except (yaml.YAMLError, ValidationError, TypeError, KeyError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{store.path('config.yaml')} is damaged ({reason}); run any stage again with its configuration file") from error


@contextmanager
def open_run(config: RunConfig, *, fresh: bool = False) -> Iterator[Run]:
    """Take the run directory for this driver, or say why it cannot be had.

    Args:
        config: the run's configuration.
        fresh: delete what an earlier run left there.

    Raises: InputError if another driver holds the run, or if it holds another source's or layout's files.
    """
    run = Run(config)
    with DriverLock(run.store):
        if fresh:
            for name in _entries(run.store):
                run.store.remove(name)
        _refuse_other_run(run)
        run.store.remove_temporaries()
        run.store.write_bytes("config.yaml", yaml.safe_dump(run.description(), sort_keys=False, allow_unicode=True).encode())
        yield run


def _entries(store: Store) -> list[str]:
    """Return what is to be deleted for a fresh run.

    Raises: InputError if nothing says that the directory is a run's.
    """
    if any(name != ".lock" for name in store.list()) and not store.exists("config.yaml"):
        raise InputError(f"{store.root} holds files and no config.yaml, so it may not be a run's to delete; delete it by hand")
    return sorted({name.split("/")[0] for name in store.list()} - {".lock"})


def _refuse_foreign_directory(store: Store) -> None:
    others = [name for name in store.list() if not name.startswith(OURS)]
    if others and not store.exists("config.yaml"):
        raise InputError(f"{store.root} holds files that no run made, such as {others[0]}; choose another directory with --run")


def _refuse_other_run(run: Run) -> None:
    """Refuse to mix two sources.

    A description that is damaged or lost refuses nothing: each directory's name has the hash of what its files were made from, so no file of
    another source is taken for one of this.
    """
    _refuse_foreign_directory(run.store)
    try:
        earlier = yaml.safe_load(run.store.read_bytes("config.yaml"))
        layout, source = earlier["layout"], dict(earlier["configuration"]["source"])
    except (FileNotFoundError, yaml.YAMLError, TypeError, KeyError, ValueError):
        return
    now = identity(run.config.source)
    differences = [f"source.{key}: {source.get(key)!r} there, {now.get(key)!r} here" for key in now if now[key] != source.get(key)]
    if layout != LAYOUT_VERSION:
        differences.append(f"layout: {layout!r} there, {LAYOUT_VERSION!r} here")
    if differences:
        raise InputError(
            f"run {run.store.root} was made from another source ({'; '.join(differences)}); "
            "choose another directory with --run NEW, or delete what is there with --fresh"
        )
