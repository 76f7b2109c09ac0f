"""Settings that read captions are refused without captions, when the configuration is read."""

from typing import Any

import pytest
from pydantic import ValidationError

from jobs.run_directory.config import RunConfig

TEXT = {"name": "transformers:bert", "input": "caption"}
PIXELS = {"name": "pixels", "image_size": 8}
TRAINED = {
    "training": {
        "model": {"width": 16, "depth": 1, "num_heads": 2},
        "text": "captions",
        "subsets": ["random"],
        "num_steps": 1,
        "checkpoint_steps": [],
        "global_batch_size": 1,
        "num_workers": 0,
    },
    "sampling": {"num_steps": 1, "num_samples": 1, "batch_size": 1},
}
READERS: dict[str, dict[str, Any]] = {
    "input=caption": {"encoder": None, "encoders": [PIXELS, TEXT]},
    "confidence.kind=alignment": {"confidence": {"kind": "alignment"}},
    "text.of=captions": {"text": {"of": "captions"}},
}
"""Every setting that reads captions."""


def config_of(captions: str | None, **settings: Any) -> RunConfig:
    values = {
        "run": "run",
        "source": {"path": "images", "captions": captions},
        "encoder": PIXELS,
        "confidence": {"kind": "none"},
        "selection": {"budget": 1, "methods": ["random"]},
        **settings,
    }
    return RunConfig.model_validate(values)


@pytest.mark.parametrize("setting", READERS)
def test_what_reads_captions_needs_a_source_with_captions(setting: str) -> None:
    assert config_of("txt", **READERS[setting])
    with pytest.raises(ValidationError, match=f"{setting} needs source.captions, found null"):
        config_of(None, **READERS[setting])


def test_all_settings_that_read_captions_are_named_together() -> None:
    every = {name: value for each in READERS.values() for name, value in each.items()}
    with pytest.raises(ValidationError, match=f"{' and '.join(READERS)} need source.captions"):
        config_of(None, **every)


def test_a_training_on_captions_needs_both_settings() -> None:
    model = {"models": {"sit": TRAINED}}
    assert config_of("txt", **model, text={"of": "captions"})
    with pytest.raises(ValidationError, match=r"text=captions needs text\.of=captions"):
        config_of("txt", **model)
    with pytest.raises(ValidationError, match=r"text\.of=captions needs source\.captions"):
        config_of(None, **model, text={"of": "captions"})


def test_captions_that_nothing_reads_are_kept_for_the_exports() -> None:
    assert config_of("txt").source.captions == "txt"
    assert not config_of("txt").training_inputs
