"""Rules of the configuration for captions, and for models that are conditioned on text."""

from collections.abc import Mapping

from jobs.run_directory.model_config import ModelConfigs
from otcondense.datasets import SourceConfig
from otcondense.representations import TextConfig
from otcondense.representations.text_config import CAPTIONS


def check_text(models: Mapping[str, ModelConfigs], text: TextConfig) -> None:
    """Refuse models of captions while names of classes are embedded, and the reverse.

    Raises: ValueError naming the model and both settings.
    """
    for name, model in models.items():
        wanted = model.training.text
        needed = CAPTIONS if model.training.has_captions else "class_names"
        if wanted is not False and text.of != needed:
            raise ValueError(
                f"models.{name}.training.text={str(wanted).lower()} needs text.of={needed}, found "
                f"text.of={text.of}; set one of them"
            )


def check_source_captions(source: SourceConfig, needs: Mapping[str, bool]) -> None:
    """Refuse settings that read captions if the source has none.

    Args:
        source: the images.
        needs: for each setting, as a user writes it, whether it is set so.

    Raises: ValueError naming the settings.
    """
    found = [setting for setting, is_set in needs.items() if is_set]
    if source.captions is None and found:
        verb = "needs" if len(found) == 1 else "need"
        raise ValueError(
            f"{' and '.join(found)} {verb} source.captions, found null; say where the captions are"
        )
