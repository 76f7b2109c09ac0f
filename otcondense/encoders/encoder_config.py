"""Settings of an encoder and of its training, without any heavy import."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator, model_validator

from otcondense.config import Config
from otcondense.encoders.origins import check_origin, is_own_code, transformers_name
from otcondense.encoders.presets import PIXELS, resolve_preset

if TYPE_CHECKING:
    import otcondense.encoders.transforms

TRANSFORM_VERSION = 2
"""Counts changes of the pixels that a network gets of an image, and so of its features.

1 was timm's own transform, with PIL, and transparency was dropped. 2 resizes by torch
(`otcondense.encoders.resizing`) and puts transparent images on white.
"""


SEEN_FIELDS: Mapping[str, object] = MappingProxyType({"normalize": "none", "weight": 1.0})
"""Settings of how the selection sees features, with their defaults; stored features do not depend
on them."""
NEWER_FIELDS: Mapping[str, object] = MappingProxyType(
    {"pooling": None, "version": None, "input": "image"}
)
"""Settings that are newer than the first features, with their defaults: where they have it,
features from before they existed stay valid."""
RANDOM = "random"
"""Value of `weights` for a network that was never trained."""


class TrainEncoderConfig(Config):
    """How a small classifier is trained during the run."""

    epochs: int = Field(default=6, ge=1)
    """Passes over the training images."""
    batch_size: int = Field(default=64, ge=2)
    """Images per step; each epoch skips a last incomplete batch."""
    learning_rate: float = Field(default=6e-3, gt=0)
    """Largest learning rate of the one-cycle schedule of AdamW."""
    weight_decay: float = Field(default=0.05, ge=0)
    """Weight decay of AdamW."""
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    """Share of the target spread evenly over all classes; keeps the confidences of training images
    below 1."""
    seed: int = Field(default=0, ge=0)
    """Seed of the initial weights and of the order of images."""


class EncoderConfig(Config):
    """Which model turns images into features, and how it is run."""

    name: str = "resnet50"
    """Name of a timm model, or a preset: inception-v3, googlenet, resnet-34, resnet-50 (the
    paper's), dinov2-b14, dinov2-l14, dinov3-b16, clip-l14, siglip2-b16, efficientnet-lite0 to
    -lite2. transformers:NAME takes a model of transformers, by its name on the hub or its folder
    (DINOv2, DINOv3, CLIP, SigLIP); package.module:function takes what your own function returns.
    pixels takes the pixels themselves, of image_size."""
    input: Literal["image", "caption"] = "image"
    """What the network reads: the image, or its caption (source.captions). caption takes a text
    network of transformers: CLIP, SigLIP, T5, or a sentence encoder (BERT, MPNet, RoBERTa)."""
    weights: str | None = None
    """Local .safetensors file with the weights; null fetches timm's pretrained weights by name.
    random makes a network that was never trained: it has features and no classifier."""
    weights_seed: int = Field(default=0, ge=0)
    """Seed of random weights."""
    image_size: int | None = Field(default=None, ge=8)
    """Height and width of the model's input in pixels; null takes timm's value for the model."""
    in_chans: Literal[1, 3] = 3
    """Colour channels of the input: 3 is RGB, 1 is grey."""
    num_classes: int | None = Field(default=None, ge=0)
    """Classes of the classifier; null takes those of the pretrained weights, 0 computes only
    features, without confidences."""
    crop_pct: float | None = Field(default=None, gt=0, le=1)
    """Share of the resized image that the centre crop keeps; null takes timm's value for the
    model."""
    batch_size: int = Field(default=64, ge=1)
    """Images per forward pass; incomplete batches are padded, since the last digits of a row depend
    on the batch size."""
    precision: Literal["float32", "tf32", "bfloat16"] = "float32"
    """Arithmetic of the model. On a GPU tf32 multiplies with 11 bits, several times faster than
    float32, and changes the features in their fourth digit; on a CPU it is float32. bfloat16 is
    faster still and changes the third digit. Features are always stored in float32."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Device of the model; auto takes a GPU if there is one."""
    decode_on: Literal["cpu", "gpu"] = "cpu"
    """Where JPEG files are decoded and resized; gpu: by nvJPEG on the encoder's GPU, other files on
    the CPU. Pixels differ slightly, so features of the two are not mixed."""
    pooling: Literal["pooler", "cls", "mean", "projected"] | None = None
    """Features of a model of transformers: pooler is its own summary, cls its class token, mean
    the mean of its patches, projected the embedding that CLIP compares with texts; null takes
    projected for CLIP, pooler for others."""
    version: str | None = None
    """Version of your own function: change it when the function gives other features. It is needed
    unless the function returns a torch module with weights, whose digest counts."""
    normalize: Literal["none", "l2"] = "none"
    """l2 divides the features of each image by their length when the selection reads them, so that
    squared distances are cosine distances; stored features stay as they are."""
    weight: float = Field(default=1, gt=0, allow_inf_nan=False)
    """Weight of this encoder among several encoders: median of its squared distances in a class."""
    train: TrainEncoderConfig | None = None
    """If set, the classifier is trained on the source's own images and saved to `weights` before
    its first use."""

    @field_validator("version", mode="before")
    @classmethod
    def _as_text(cls, value: object) -> object:
        """Take a number as the text of it: a command line has no quotes."""
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        return str(value) if is_number else value

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, values: Any) -> Any:
        return resolve_preset(values)

    @model_validator(mode="after")
    def _check(self) -> "EncoderConfig":
        if self.decode_on == "gpu" and self.device == "cpu":
            raise ValueError(
                "images cannot be decoded on a GPU with device=cpu; "
                "set decode_on=cpu or device=auto"
            )
        self._check_untrained()
        check_origin(self)
        self._check_captions()
        return self

    def _check_captions(self) -> None:
        if self.input == "image":
            return
        if self.transformers_name is None:
            raise ValueError(
                "input=caption needs a text network of transformers (transformers:NAME), found "
                f"{self.name}"
            )
        for field in ("pooling", "weights", "image_size", "crop_pct"):
            if getattr(self, field) is not None:
                raise ValueError(
                    f"{field} is for images, found it with input=caption; leave it out"
                )

    def _check_untrained(self) -> None:
        if self.weights_seed and self.weights != RANDOM:
            raise ValueError(
                f"weights_seed needs weights=random, found weights={self.weights}; leave it out"
            )
        if self.name == PIXELS and self.weights is not None:
            raise ValueError(f"pixels have no weights, found {self.weights}; leave them out")
        if not (self.name == PIXELS or self.weights == RANDOM):
            return
        if self.num_classes:
            raise ValueError(
                f"num_classes must be 0 for pixels and for random weights, found "
                f"{self.num_classes}: there is no classifier; use confidence.kind=probe or none"
            )
        if self.train is not None:
            raise ValueError(
                "train must be null for pixels and for random weights; name a .safetensors file in "
                "weights for a network that is trained"
            )

    def identity(self) -> dict[str, object]:
        """Return the settings that change the features, for the names of directories.

        A weights file counts by its name here; the fingerprint of every feature file also contains
        the digest of its content (`weights_sha256`).
        """
        file = None if self.weights is None else Path(self.weights).name
        left_out = {"weights", "device", *SEEN_FIELDS}
        newer = NEWER_FIELDS.items()
        left_out |= {field for field, default in newer if getattr(self, field) == default}
        if self.weights != RANDOM:
            left_out.add("weights_seed")
        settings = self.model_dump(mode="json", exclude=left_out)
        return {**settings, "weights": file, "transform": self.transform}

    @property
    def weights_file(self) -> str | None:
        """Path of the file of weights; None if there is no such file."""
        return None if self.weights == RANDOM else self.weights

    @property
    def is_pretrained(self) -> bool:
        """Whether the weights are those that a library knows by the model's name."""
        return self.weights is None and self.name != PIXELS and not self.is_own_code

    @property
    def is_own_code(self) -> bool:
        """Whether the name is that of a function of the user."""
        return is_own_code(self.name)

    @property
    def transformers_name(self) -> str | None:
        """Name on the hub, or folder, of a model of transformers; None for others."""
        return transformers_name(self.name)

    @property
    def file_name(self) -> str:
        """The name as part of the name of a file."""
        plain = self.name.replace("/", "-").replace(":", "-")
        return plain if self.input == "image" else f"{plain}-captions"

    @property
    def transform(self) -> str:
        """Name of the way from an image file to the network's input, for metadata."""
        return f"{TRANSFORM_VERSION}-{self.decode_on}"

    def input_spec(self) -> "otcondense.encoders.transforms.InputSpec":
        """Return the size and transform of the model's input.

        Raises: InputError if timm has no such model.
        """
        from otcondense.encoders.transforms import InputSpec

        return InputSpec.of_model(
            self.name, image_size=self.image_size, channels=self.in_chans, crop_pct=self.crop_pct
        )

    def classes(self) -> int:
        """Return the number of classes of the classifier, 0 for none."""
        from otcondense.encoders.transforms import pretrained_config

        if self.num_classes is not None:
            return self.num_classes
        if self.weights == RANDOM or self.is_own_code or self.transformers_name is not None:
            return 0
        return int(pretrained_config(self.name)["num_classes"])
