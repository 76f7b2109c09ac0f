"""The configuration of a whole run: the components' own models, nested."""

from typing import Any, Literal

from pydantic import Field, create_model, model_validator

from actors.pool import PoolConfig
from otcondense.config import Config
from otcondense.datasets import SourceConfig
from otcondense.diffusion import SamplerConfig, TrainingConfig
from otcondense.diffusion.difficulty import DenoisingConfig
from otcondense.encoders import ConfidenceConfig, EncoderConfig
from otcondense.encoders.margins import MarginConfig
from otcondense.evaluation import EvaluationConfig
from otcondense.representations import LatentConfig, TextConfig, TokenConfig
from otcondense.selection import SELECTORS
from otcondense.selection.base import SelectorConfig
from otcondense.store.difficulties import HARD_END, ScoreKind
from pipeline.extract import ExtractionConfig

SHARED_FIELDS = frozenset({*SelectorConfig.model_fields, "include", "exclude"})


def _own_settings(name: str) -> type[Config]:
    """Return the settings of one selector without those that all methods of a run share."""
    fields = SELECTORS[name].Config.model_fields
    own: dict[str, Any] = {
        key: (info.annotation, info) for key, info in fields.items() if key not in SHARED_FIELDS
    }
    return create_model(f"{name}_settings", __base__=Config, **own)


_settings = {name: _own_settings(name) for name in SELECTORS}
_settings_fields: dict[str, Any] = {name: (model, model()) for name, model in _settings.items()}
SelectorSettings: type[Config] = create_model(
    "SelectorSettings", __base__=Config, **_settings_fields
)


class SelectionConfig(Config):
    """Which images to choose, and how."""

    methods: tuple[str, ...] = ("geometry_aware", "random")
    """Selection methods to run, by name."""
    budget: int | dict[str, int] = 10
    """Images to choose from each class: one number, or one for each class name."""
    seed: int = Field(default=0, ge=0)
    """Seed of the methods that draw at random; each class derives its own from it."""
    small_class: Literal["error", "take_all"] = "error"
    """What to do with a class of fewer images than the budget: refuse it, or take all of it."""
    include: tuple[str, ...] = ()
    """Image identifiers (class/file) that must be chosen; only methods that can promise it may then run."""
    exclude: tuple[str, ...] = ()
    """Image identifiers that must not be chosen, for their licence, say; they still count as part of their class."""
    settings: SelectorSettings = SelectorSettings()  # type: ignore[valid-type]
    """Settings of each method."""
    difficulty: dict[Literal["d2c", "ccs"], ScoreKind] = Field(
        default_factory=lambda: {"d2c": "denoising", "ccs": "aum"}
    )
    """Kind of the scores (`python -m jobs.score`) that each method by difficulty goes by: denoising (high is hard) or aum (low is hard)."""
    pool: PoolConfig = PoolConfig()
    """The actors that select classes in parallel; they do not change the result."""

    @model_validator(mode="after")
    def _check(self) -> "SelectionConfig":
        unknown = [name for name in self.methods if name not in SELECTORS]
        if unknown:
            raise ValueError(
                f"methods must be among {', '.join(SELECTORS)}, found {', '.join(unknown)}"
            )
        for name, kind in self.difficulty.items():
            hard = getattr(self.settings, name).hard
            if name in self.methods and hard != HARD_END[kind]:
                raise ValueError(
                    f"settings.{name}.hard must be {HARD_END[kind]} for scores of kind {kind}, found {hard}"
                )
        if self.include or self.exclude:
            unfit = [
                name
                for name in self.methods
                if "include" not in SELECTORS[name].Config.model_fields
            ]
            if unfit:
                raise ValueError(
                    f"include and exclude are kept by geometry_aware alone, found methods {', '.join(unfit)} beside them"
                )
        budgets = self.budget.values() if isinstance(self.budget, dict) else [self.budget]
        if any(budget < 1 for budget in budgets):
            raise ValueError(f"budget must be at least 1, found {min(budgets)}")
        for method in self.methods:
            self.selector_settings(method, max(budgets))
        return self

    def selector_settings(self, method: str, budget: int) -> dict[str, Any]:
        """Return the resolved keyword arguments of the selector `method` for a class of which `budget` images are chosen."""
        given: dict[str, Any] = getattr(self.settings, method).model_dump(exclude_unset=True)
        shared = {"budget": budget, "seed": self.seed, "small_class": self.small_class}
        return SELECTORS[method].Config(**given, **shared).model_dump(mode="json")

    def score_kinds(self) -> tuple[ScoreKind, ...]:
        """Return the kinds of scores that the methods go by."""
        return tuple(
            sorted({self.difficulty[name] for name in ("d2c", "ccs") if name in self.methods})
        )

    def budget_of(self, class_name: str) -> int:
        """Return how many images to choose from one class."""
        return self.budget[class_name] if isinstance(self.budget, dict) else self.budget


class ScoresConfig(Config):
    """How hard each image is (`python -m jobs.score`)."""

    denoising: DenoisingConfig = DenoisingConfig()
    """Error of a frozen diffusion model, the score of D2C: high is hard."""
    aum: MarginConfig = MarginConfig()
    """Area under the margin while a classifier trains, the score of CCS: low is hard."""


class PixelConfig(Config):
    """The images that models are trained on and that their samples are."""

    size: int = Field(default=8, ge=2)
    """Height and width in pixels; images are centre-cropped and resized to it."""
    channels: Literal[1, 3] = 1
    """Colour channels: 3 is RGB, 1 is grey."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        return self.channels, self.size, self.size


class ModelConfigs(Config):
    """One generative model: how it is trained and how it is sampled."""

    training: TrainingConfig
    """Training on each of the listed subsets."""
    sampling: SamplerConfig
    """Sampling from each of its checkpoints."""

    @model_validator(mode="after")
    def _check(self) -> "ModelConfigs":
        if self.training.data == "latents" and self.sampling.clip:
            raise ValueError(
                "sampling.clip must be false for a model of latents, which are not confined to [-1, 1]; found true"
            )
        return self


class RunConfig(Config):
    """Everything a run needs to know."""

    run: str
    """Directory of the run: a local path or any fsspec URI such as s3://bucket/run."""
    digits: str | None = None
    """Where to write scikit-learn's handwritten digits before the run, for the demo; null writes nothing."""
    glyphs: str | None = None
    """Where to write rendered letters with a known long tail and known outliers before the run; needs the extra glyphs; null writes nothing."""
    source: SourceConfig
    """Images to choose from."""
    held_out: SourceConfig | None = None
    """Images of the same classes that no stage but evaluation sees."""
    encoder: EncoderConfig = EncoderConfig()
    """Network whose features and logits the selection works on; not used where the source holds features."""
    confidence: ConfidenceConfig = ConfidenceConfig()
    """Where the confidence in each image's label comes from."""
    judge: EncoderConfig | None = None
    """Second network, never seen by selection, for evaluation; null uses the first."""
    judges: dict[str, EncoderConfig] = Field(default_factory=dict)
    """Further networks that samples and subsets are looked at through, by the name that their figures shall bear: with dinov2,
    dinov2.frechet_distance is FD-DINOv2; with clip, clip.cmmd is CMMD."""
    scores: ScoresConfig = ScoresConfig()
    """Difficulty scores, for the selection methods that go by them."""
    extraction: ExtractionConfig = ExtractionConfig()
    """Feature extraction with Ray Data."""
    selection: SelectionConfig = SelectionConfig()
    """Choice of the subsets."""
    pixels: PixelConfig = PixelConfig()
    """Size of the images that models are trained on."""
    models: dict[str, ModelConfigs] = Field(default_factory=dict)
    """Generative models to train on the subsets, by a name of your choice."""
    samplers: PoolConfig = PoolConfig()
    """The actors that sample images in parallel; they do not change the result."""
    latents: LatentConfig = LatentConfig()
    """Latents of images, for training (`python -m jobs.extract_latents`)."""
    tokens: TokenConfig = TokenConfig()
    """Patch tokens of images, for training (`python -m jobs.extract_tokens`)."""
    text: TextConfig = TextConfig()
    """Text embeddings of class names, for training (`python -m jobs.extract_text`)."""
    representations: PoolConfig = PoolConfig(num_actors=1)
    """The actors that extract latents and tokens in parallel; they do not change the result."""
    evaluation: EvaluationConfig = EvaluationConfig()
    """Metrics of the samples against the held-out images."""

    @model_validator(mode="after")
    def _check(self) -> "RunConfig":
        for name, model in self.models.items():
            missing = [
                subset for subset in model.training.subsets if subset not in self.selection.methods
            ]
            if missing:
                raise ValueError(
                    f"models.{name}.training.subsets must be among selection.methods, found {', '.join(missing)}"
                )
        if not self.source.has_images and (
            self.models or self.judge or self.judges or self.confidence.classifier
        ):
            raise ValueError(
                "models, judge, judges and confidence.classifier look at images, source.kind=features has none; leave them out"
            )
        if "denoising" in self.selection.score_kinds() and self.scores.denoising.checkpoint is None:
            raise ValueError(
                "scores.denoising.checkpoint must name the checkpoint of the model that scores for d2c, found null"
            )
        self._check_latents()
        return self

    def _check_latents(self) -> None:
        for name, model in self.models.items():
            training, size = model.training, self.latents.image_size
            if training.data == "latents" and self.pixels.shape != (3, size, size):
                raise ValueError(
                    f"pixels must be 3 channels of latents.image_size {size}, which models.{name} decodes to, found {self.pixels.shape}"
                )
            for part, used in (
                ("latents", training.data == "latents"),
                ("tokens", training.alignment is not None),
            ):
                if used and training.flip and not getattr(self, part).mirror:
                    raise ValueError(
                        f"models.{name}.training.flip needs {part}.mirror=true, found false"
                    )

    @property
    def trainings(self) -> list[tuple[str, str]]:
        """Every pair of model and selection method that is trained."""
        models = self.models.items()
        return [(name, method) for name, model in models for method in model.training.subsets]

    @property
    def training_inputs(self) -> set[str]:
        """The inputs of the trainings other than pixels: latents, tokens, text."""
        inputs: set[str] = set()
        for model in self.models.values():
            inputs |= model.training.extra_inputs
        return inputs

    @property
    def encoders(self) -> list[EncoderConfig]:
        """Every network that looks at all images, each once: of the features, of the confidences, of the evaluation."""
        if not self.source.has_images:
            return []
        found = [self.encoder, self.confidence.classifier, self.judge]
        return list({each.model_dump_json(): each for each in found if each is not None}.values())

    @property
    def networks(self) -> list[EncoderConfig]:
        """Every network of the run, each once: those of `encoders`, and the further judges, which see samples and held-out images alone."""
        return list(
            {
                each.model_dump_json(): each for each in (*self.encoders, *self.judges.values())
            }.values()
        )

    @property
    def judge_or_encoder(self) -> EncoderConfig:
        """The network that evaluation looks through."""
        return self.judge or self.encoder
