"""Rules of the configuration for models that are conditioned on text."""

from collections.abc import Mapping

from jobs.run_directory.model_config import ModelConfigs
from otcondense.representations import TextConfig


def check_text(models: Mapping[str, ModelConfigs], text: TextConfig) -> None:
    """Refuse models of captions while names of classes are embedded, and the reverse.

    Raises: ValueError naming the model and both settings.
    """
    for name, model in models.items():
        wanted = model.training.text
        needed = "captions" if model.training.has_captions else "class_names"
        if wanted is not False and text.of != needed:
            raise ValueError(
                f"models.{name}.training.text={str(wanted).lower()} needs text.of={needed}, found "
                f"text.of={text.of}; set one of them"
            )
