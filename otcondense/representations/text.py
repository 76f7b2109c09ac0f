"""T5 embeddings of class names: text depends on the class alone, so a table of one row per class replaces the model in training."""

from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float16, UInt8
from pydantic import Field

from otcondense.config import Config
from otcondense.encoders.encoder import pick_device
from otcondense.errors import InputError
from otcondense.representations.image_model import tensors_sha256


class TextConfig(Config):
    """Which T5 encoder turns class names into embeddings, and what it reads."""

    model: str = "google/flan-t5-xl"
    """T5 model and tokenizer (transformers): a name on the Hugging Face hub, or a local folder that save_pretrained wrote."""
    prompt: str = "{name}"
    """What the model reads for each class; {name} stands for the class name."""
    names: str | None = None
    """JSON file of readable names by class name, where these are identifiers such as ImageNet's n01440764."""
    max_tokens: int = Field(default=16, ge=1)
    """Tokens of each embedding; shorter texts are padded and masked, longer ones cut."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the model runs; auto takes a GPU where there is one."""

    def identity(self) -> dict[str, object]:
        """Return the settings that decide the embeddings."""
        return self.model_dump(mode="json", exclude={"device", "names"}) | {
            "model": self.model.rstrip("/").rsplit("/", 1)[-1]
        }


class TextModel:
    """A T5 encoder with its tokenizer, in float32.

    Raises: InputError if transformers is not installed, or the model is neither a local folder nor can be fetched.
    """

    def __init__(self, config: TextConfig) -> None:
        try:
            from transformers import AutoTokenizer, T5EncoderModel
        except ImportError as error:
            raise InputError(
                "text embeddings need the package transformers; install otcondense[text]"
            ) from error
        try:
            self._tokenizer: Any = AutoTokenizer.from_pretrained(config.model)
            model: Any = T5EncoderModel.from_pretrained(
                config.model, use_safetensors=True, dtype=torch.float32
            )
        except (OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(
                f"text.model must be a T5 model on the hub or a local folder of one with .safetensors weights, found {config.model} "
                f"({reason}); download it where there is a network and give its folder"
            ) from error
        self.sha256 = tensors_sha256(model)
        self._max_tokens = config.max_tokens
        self._device = pick_device(config.device)
        self._model = model.eval().requires_grad_(requires_grad=False).to(self._device)

    @torch.inference_mode()
    def __call__(self, text: str) -> tuple[Float16[np.ndarray, "t d"], UInt8[np.ndarray, " t"]]:
        """Return the last hidden state of each token and a mask that is 1 where there is text, padded to `max_tokens`."""
        read = self._tokenizer(
            text,
            padding="max_length",
            max_length=self._max_tokens,
            truncation=True,
            return_tensors="pt",
        )
        mask = read["attention_mask"].to(self._device)
        states = self._model(
            input_ids=read["input_ids"].to(self._device), attention_mask=mask
        ).last_hidden_state[0]
        return states.half().cpu().numpy(), mask[0].to(torch.uint8).cpu().numpy()
