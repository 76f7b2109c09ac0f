"""The configuration of the text embeddings; it needs no torch."""

from typing import Literal

from pydantic import Field, model_validator

from otcondense.config import Config

CAPTIONS = "captions"
"""Value of `of`, and of a training's `text`, for a caption of each image."""
CLASS_FIELDS = ("prompt", "names")
"""Settings of class names alone."""
CAPTION_FIELDS = ("images", "batch_size")
"""Settings of captions alone."""


def class_names_file(directory: str) -> str:
    """Return the file of the embeddings of the class names, in their directory."""
    return f"{directory}/embeddings.parquet"


def no_caption_file(directory: str) -> str:
    """Return the file of the embedding of no caption, in the directory of the captions."""
    return f"{directory}/no_caption.parquet"


class TextConfig(Config):
    """The text encoder that turns class names or captions into embeddings, and its input."""

    model: str = "google/flan-t5-xl"
    """Text encoder and tokenizer (transformers: T5, CLIP's text half, BERT and their like): a name
    on the Hugging Face hub, or a local folder that save_pretrained wrote."""
    of: Literal["class_names", "captions"] = "class_names"
    """What is embedded: the name of each class, or the caption of each image (source.captions)."""
    prompt: str = "{name}"
    """Input of the model for each class; {name} is replaced by the class name."""
    names: str | None = None
    """JSON file of readable names by class name, for class names that are identifiers such as
    ImageNet's n01440764."""
    images: Literal["subsets", "source"] = "subsets"
    """Whose captions: those of the images of all subsets that the run selects, or of all images of
    the source that have features."""
    batch_size: int = Field(default=16, ge=1)
    """Captions per forward pass; incomplete batches are padded, since a row's last digits depend on
    the batch's size."""
    max_tokens: int = Field(default=16, ge=1)
    """Tokens of each embedding; shorter texts are padded and masked, longer ones cut."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the model runs; auto takes a GPU if there is one."""

    @model_validator(mode="after")
    def _check(self) -> "TextConfig":
        others = CLASS_FIELDS if self.of == CAPTIONS else CAPTION_FIELDS
        for name in others:
            if getattr(self, name) != type(self).model_fields[name].default:
                needed = "class_names" if self.of == CAPTIONS else CAPTIONS
                raise ValueError(
                    f"text.{name} is for text.of={needed}, found text.of={self.of}; leave one out"
                )
        return self

    def identity(self) -> dict[str, object]:
        """Return the settings that decide the embeddings."""
        left_out = {"device", "names", "images"}
        left_out |= {"prompt"} if self.of == CAPTIONS else {"of", "batch_size"}
        kept = self.model_dump(mode="json", exclude=left_out)
        return kept | {"model": self.model.rstrip("/").rsplit("/", 1)[-1]}
