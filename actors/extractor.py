"""The extraction actor: latents or tokens of every image of a class."""

from typing import Any

import torch

from otcondense.representations.tables import KINDS, write_class
from otcondense.store import Store

FOUND = "finished before"


class Extractor:
    """A long-lived worker that encodes one class after another; running a unit again writes the same bytes."""

    def __init__(self, root: str, kind: str, config: dict[str, Any]) -> None:
        model_config, model = KINDS[kind]
        self._store, self._config = Store(root), model_config(**config)
        torch.backends.cudnn.deterministic = True
        self._model = model(self._config)

    def run(self, unit: dict[str, Any]) -> dict[str, Any]:
        """Encode one class; the `step` that it returns tells whether there was something to do."""
        is_new = write_class(self._store, unit["directory"], unit, self._config, self._model)
        return {"step": "" if is_new else FOUND}
