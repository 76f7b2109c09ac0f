"""The configuration of a whole run: the components' own models, nested."""

from typing import Any

from pydantic import Field, model_validator

from actors.pool_config import PoolConfig
from jobs.run_directory.encoder_rules import (
    check_encoders,
    check_others,
    with_first_encoder,
)
from jobs.run_directory.model_config import ModelConfigs, PixelConfig, ScoresConfig
from jobs.run_directory.paths import is_outside
from jobs.run_directory.polish_rules import check_group_settings
from jobs.run_directory.selection_config import SelectionConfig
from jobs.run_directory.text_rules import check_source_captions, check_text
from jobs.run_directory.trackers_config import TrackersConfig
from otcondense.config import Config
from otcondense.datasets import FashionConfig, SourceConfig
from otcondense.datasets.names import check_given_name
from otcondense.encoders import ConfidenceConfig, EncoderConfig
from otcondense.encoders.encoder_config import SEEN_FIELDS
from otcondense.evaluation import EvaluationConfig
from otcondense.grouping.config import GroupConfig
from otcondense.representations import LatentConfig, TextConfig, TokenConfig
from otcondense.representations.text_config import CAPTIONS
from pipeline.cluster_config import ClusterConfig
from pipeline.extraction_config import ExtractionConfig, RepresentationResources

BASELINE = "random"
"""The method whose subsets are random draws."""
DEFAULT_DRAWS = 20
"""Random subsets of a run without models: as many as tell one in twenty."""


class RunConfig(Config):
    """Everything a run needs to know."""

    run: str
    """Run directory: a local path or any fsspec URI such as s3://bucket/run."""
    digits: str | None = None
    """Directory for scikit-learn's handwritten digits, written before the run (for the demo); null
    writes nothing."""
    glyphs: str | None = None
    """Directory for rendered letters with a known long tail and known outliers, written before the
    run; needs the extra glyphs; null writes nothing."""
    fashion: FashionConfig | None = None
    """Photographs of Fashion-MNIST, written before the run; null writes nothing."""
    source: SourceConfig
    """Images to choose from."""
    held_out: SourceConfig | None = None
    """Images of the same classes that only the evaluation sees."""
    encoder: EncoderConfig = EncoderConfig()
    """Network whose features and logits the selection uses; of a source that holds features, only
    normalize counts."""
    encoders: tuple[EncoderConfig, ...] = ()
    """Several networks in place of encoder, such as [dinov2-b14, clip-l14]: each extracts its own
    features, and the selection sees them joined, each scaled so that the median squared distance in
    a class is its weight. The first one's logits count, and it judges if there is no judge."""
    confidence: ConfidenceConfig = ConfidenceConfig()
    """Origin of the confidence in each image's label."""
    judge: EncoderConfig | None = None
    """Second network for the evaluation, which the selection never sees; null uses the first."""
    judges: dict[str, EncoderConfig] = Field(default_factory=dict)
    """Extra networks for the evaluation; each key prefixes its metric names: with dinov2,
    dinov2.frechet_distance is FD-DINOv2; with clip, clip.cmmd is CMMD."""
    scores: ScoresConfig = ScoresConfig()
    """Difficulty scores, for the difficulty-based selection methods."""
    cluster: ClusterConfig = ClusterConfig()
    """What the cluster can have, and how long a stage waits for it."""
    extraction: ExtractionConfig = ExtractionConfig()
    """Feature extraction with Ray Data."""
    groups: GroupConfig | None = None
    """Groups of bounded size that the selection sees in place of whole classes, for sources without
    labels and for large classes; null selects from whole classes."""
    selection: SelectionConfig = SelectionConfig()
    """Selection of the subsets."""
    pixels: PixelConfig = PixelConfig()
    """Size of the images that models are trained on."""
    models: dict[str, ModelConfigs] = Field(default_factory=dict)
    """Generative models to train on the subsets, by a name of your choice."""
    samplers: PoolConfig = PoolConfig()
    """The actors that sample images in parallel; they do not change the result."""
    latents: LatentConfig = LatentConfig()
    """Latents of images, for training (`otcondense extract_latents`)."""
    tokens: TokenConfig = TokenConfig()
    """Patch tokens of images, for training (`otcondense extract_tokens`)."""
    text: TextConfig = TextConfig()
    """Text embeddings of class names or captions, for training (`otcondense extract_text`)."""
    representations: RepresentationResources = RepresentationResources()
    """The actors that extract latents and tokens in parallel; they do not change the result."""
    evaluation: EvaluationConfig = EvaluationConfig()
    """Metrics of the samples against the held-out images."""
    random_draws: int | None = Field(default=None, ge=0)
    """Random subsets that each subset is compared with on held-out images, through the judge and
    without training, so that its lead and the noise are known; by default 20 if images are held out
    and no model is trained, else 0."""
    trackers: TrackersConfig = TrackersConfig()
    """Where else the run, or each trial of a sweep, is shown: W&B, MLflow, TensorBoard."""

    @model_validator(mode="before")
    @classmethod
    def _first_of_several(cls, values: Any) -> Any:
        return with_first_encoder(values)

    @model_validator(mode="after")
    def _check(self) -> "RunConfig":
        check_encoders(self.encoder, self.encoders)
        check_others(self.others)
        self._check_names()
        self._check_written()
        self._check_subsets()
        check_group_settings(self.selection, has_groups=self.groups is not None)
        self._check_source()
        check_text(self.models, self.text)
        self._check_captions()
        self._check_scores()
        self._check_latents()
        self._check_held_out_loss()
        return self

    def _check_names(self) -> None:
        for name in self.models:
            check_given_name(name, "model", in_paths=True)
        for name in self.judges:
            check_given_name(name, "judge")

    def _check_written(self) -> None:
        """Refuse images that are written to one folder while the run reads another one."""
        fashion = None if self.fashion is None else self.fashion.path
        written = {"digits": self.digits, "glyphs": self.glyphs, "fashion.path": fashion}
        for name, folder in written.items():
            if folder is not None and is_outside(self.source.path, folder):
                raise ValueError(
                    f"{name}={folder} writes images that source.path={self.source.path} does not "
                    f"take; set source.path={folder}/train and held_out.path={folder}/held_out, "
                    f"or {name.partition('.')[0]}=null"
                )

    def _check_held_out_loss(self) -> None:
        for name, model in self.models.items():
            training = model.training
            if training.keep_best != "held_out_loss":
                continue
            if self.held_out is None or training.data != "pixels":
                found = "no held_out" if self.held_out is None else f"data={training.data}"
                raise ValueError(
                    f"models.{name}.training.keep_best=held_out_loss needs held_out images and "
                    f"training.data=pixels (no stage makes held-out latents), found {found}; "
                    "set keep_best=loss"
                )

    def _check_subsets(self) -> None:
        for name, model in self.models.items():
            subsets = self.selection.subsets
            named = self.selection.named(model.training.subsets)
            missing = [subset for subset in named if subset not in subsets]
            if missing:
                raise ValueError(
                    f"models.{name}.training.subsets must be among selection.methods "
                    f"or their subsets {', '.join(subsets)}, found {', '.join(missing)}"
                )

    def _check_source(self) -> None:
        needs_images = (
            self.encoders
            or self.models
            or self.judge
            or self.judges
            or self.confidence.classifier
            or self.confidence.aligning
        )
        if needs_images and not self.source.has_images:
            raise ValueError(
                "encoders, models, judge, judges, confidence.classifier and "
                "confidence.kind=alignment need images, which "
                f"source.kind={self.source.kind} does not have; leave them out"
            )

    def _check_captions(self) -> None:
        readers = [name for name, each in self.others.items() if each.input != "image"]
        if self.encoder.input != "image":
            readers.append("encoders[0]" if self.encoders else "encoder")
        if readers:
            raise ValueError(
                f"{readers[0]}.input must be image, found caption: captions are read next to "
                "images, so list their network in encoders behind another one"
            )
        needs = {
            "input=caption": bool(self.captioning),
            "confidence.kind=alignment": self.confidence.aligning is not None,
            "text.of=captions": self.text.of == CAPTIONS,
        }
        check_source_captions(self.source, needs)

    def _check_scores(self) -> None:
        checkpoint = self.scores.denoising.checkpoint
        if "denoising" in self.selection.score_kinds() and checkpoint is None:
            raise ValueError(
                "scores.denoising.checkpoint must name the checkpoint of the model that scores "
                "for d2c, found null"
            )

    def _check_latents(self) -> None:
        size = self.latents.image_size
        for name, model in self.models.items():
            training = model.training
            if training.data == "latents" and self.pixels.shape != (3, size, size):
                raise ValueError(
                    f"pixels must be 3 channels of latents.image_size {size}, "
                    f"which models.{name} decodes to, found {self.pixels.shape}"
                )
            for part in training.representations:
                if training.flip and not getattr(self, part).mirror:
                    raise ValueError(
                        f"models.{name}.training.flip needs {part}.mirror=true, found false"
                    )

    @property
    def num_draws(self) -> int:
        """Random subsets that each subset is compared with; 0 compares nothing."""
        if self.held_out is None or not self.source.has_images:
            return 0
        if self.random_draws is None:
            return 0 if self.models else DEFAULT_DRAWS
        return self.random_draws

    @property
    def trainings(self) -> list[tuple[str, str]]:
        """Every pair of model and subset that is trained."""
        pairs = []
        for name, model in self.models.items():
            pairs += [(name, subset) for subset in self.selection.named(model.training.subsets)]
        return pairs

    @property
    def training_inputs(self) -> set[str]:
        """The inputs of the trainings other than pixels: latents, tokens, text."""
        inputs: set[str] = set()
        for model in self.models.values():
            inputs |= model.training.extra_inputs
        return inputs

    @property
    def selecting(self) -> tuple[EncoderConfig, ...]:
        """The networks whose features the selection uses; the logits are those of the first."""
        return self.encoders or (self.encoder,)

    @property
    def extracting(self) -> list[EncoderConfig]:
        """Every network that sees all images, each once."""
        if not self.source.has_images:
            return []
        confidence = self.confidence
        every = [*self.selecting, confidence.classifier, confidence.aligning, self.judge]
        return [each for each in _distinct(every) if each.input == "image"]

    @property
    def captioning(self) -> list[EncoderConfig]:
        """Every network that reads the captions of all images."""
        return [each for each in self.selecting if each.input == "caption"]

    @property
    def networks(self) -> list[EncoderConfig]:
        """Every network of the run, each once.

        The extra judges, which `extracting` leaves out, see samples and held-out images only.
        """
        return _distinct([*self.extracting, *self.judges.values()])

    @property
    def others(self) -> dict[str, EncoderConfig]:
        """The networks that take no part in the selection's distances, by their setting."""
        named = {
            "judge": self.judge,
            "confidence.classifier": self.confidence.classifier,
            "confidence.alignment.encoder": self.confidence.aligning,
        }
        found = {name: each for name, each in named.items() if each is not None}
        return found | {f"judges.{name}": each for name, each in self.judges.items()}

    @property
    def judge_or_encoder(self) -> EncoderConfig:
        """The network of the evaluation."""
        return self.judge or self.encoder


def _distinct(encoders: list[EncoderConfig | None]) -> list[EncoderConfig]:
    """Return the encoders that are there, equal ones once, in their order."""
    distinct: dict[str, EncoderConfig] = {}
    for encoder in encoders:
        if encoder is not None:
            stored = encoder.model_dump_json(exclude=set(SEEN_FIELDS))
            distinct.setdefault(stored, encoder)
    return list(distinct.values())
