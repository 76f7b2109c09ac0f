"""The configuration of the text embeddings; it needs no torch."""

from typing import Literal

from pydantic import Field

from otcondense.config import Config


class TextConfig(Config):
    """The T5 encoder that turns class names into embeddings, and its input."""

    model: str = "google/flan-t5-xl"
    """T5 model and tokenizer (transformers): a name on the Hugging Face hub, or a local folder that
    save_pretrained wrote."""
    prompt: str = "{name}"
    """Input of the model for each class; {name} is replaced by the class name."""
    names: str | None = None
    """JSON file of readable names by class name, for class names that are identifiers such as
    ImageNet's n01440764."""
    max_tokens: int = Field(default=16, ge=1)
    """Tokens of each embedding; shorter texts are padded and masked, longer ones cut."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the model runs; auto takes a GPU if there is one."""

    def identity(self) -> dict[str, object]:
        """Return the settings that decide the embeddings."""
        kept = self.model_dump(mode="json", exclude={"device", "names"})
        return kept | {"model": self.model.rstrip("/").rsplit("/", 1)[-1]}
