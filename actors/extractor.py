"""The extraction actor: latents or tokens of every image of a class."""

from dataclasses import dataclass

import torch

from actors.units import UnitChanges
from otcondense.datasets.images import WantedImage
from otcondense.datasets.records import SourceConfig
from otcondense.representations import RepresentationConfig
from otcondense.representations.tables import KINDS, write_class
from otcondense.store import Store


@dataclass(frozen=True)
class EncodeUnit:
    """The extraction of the latents or tokens of one class."""

    name: str
    class_name: str
    images: tuple[WantedImage, ...]
    source: SourceConfig
    """The source of the images."""
    directory: str
    """Directory of the result, relative to the run."""


class Extractor:
    """A long-lived worker that encodes one class after another.

    Running a unit again writes the same bytes.
    """

    def __init__(self, root: str, kind: str, config: RepresentationConfig) -> None:
        _, model = KINDS[kind]
        self._store = Store(root)
        self._config = config
        torch.backends.cudnn.deterministic = True
        self._model = model(config)

    def run(self, unit: EncodeUnit) -> UnitChanges:
        """Encode one class; its state is `skipped` if the file is already there."""
        is_new = write_class(self._store, unit.directory, unit, self._config, self._model)
        return {"state": "done" if is_new else "skipped"}
