"""T5 embeddings of class names.

The text depends on the class alone, so in training a table with one row per class replaces the
model.
"""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float16, UInt8

from otcondense.devices import resolve_device
from otcondense.errors import InputError
from otcondense.representations.image_model import tensors_sha256
from otcondense.representations.text_config import TextConfig

__all__ = ["TextConfig", "TextModel"]


class TextModel:
    """A T5 encoder with its tokenizer, in float32.

    Raises: InputError if transformers is not installed, or the model is neither a local folder nor
        can be downloaded.
    """

    def __init__(self, config: TextConfig, *, assigned: bool | None = None) -> None:
        self._device = resolve_device(config.device, assigned=assigned, on_cpu="text.device=cpu")
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
                "text.model must be a T5 model on the hub, or its local folder with .safetensors "
                f"weights, found {config.model} ({reason}); "
                "download it on a machine with a network and set its folder"
            ) from error
        self.sha256 = tensors_sha256(model)
        self._max_tokens = config.max_tokens
        self._model = model.eval().requires_grad_(requires_grad=False).to(self._device)

    @torch.inference_mode()
    def __call__(self, text: str) -> tuple[Float16[np.ndarray, "t d"], UInt8[np.ndarray, " t"]]:
        """Return the last hidden state of each token, and a mask that is 0 for padding.

        Both are padded to `max_tokens`.
        """
        encoded = self._tokenizer(
            text,
            padding="max_length",
            max_length=self._max_tokens,
            truncation=True,
            return_tensors="pt",
        )
        mask = encoded["attention_mask"].to(self._device)
        output = self._model(input_ids=encoded["input_ids"].to(self._device), attention_mask=mask)
        states = output.last_hidden_state[0]
        return states.half().cpu().numpy(), mask[0].to(torch.uint8).cpu().numpy()
