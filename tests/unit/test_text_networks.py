"""Text networks that cannot be used, for both of their readers: features and training."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from otcondense.encoders import EncoderConfig
from otcondense.encoders.caption_model import CaptionModel
from otcondense.errors import InputError
from otcondense.representations import TextConfig, TextModel
from tests.generators.weights import write_text_encoder

WORDS = ("a", "cat")


def for_features(place: str) -> CaptionModel:
    name = f"transformers:{place}"
    return CaptionModel(EncoderConfig(name=name, input="caption", device="cpu", batch_size=2))


def for_training(place: str) -> TextModel:
    return TextModel(TextConfig(model=place, of="captions", device="cpu", max_tokens=4))


READERS: dict[str, Callable[[str], Any]] = {"features": for_features, "training": for_training}


def without_a_weight(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    weights.pop(next(name for name in sorted(weights) if "pooler" not in name))
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def with_a_pickle(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def without_padding(folder: Path) -> None:
    path = folder / "tokenizer_config.json"
    settings = json.loads(path.read_text())
    del settings["pad_token"]
    path.write_text(json.dumps(settings))


def of_another_width(folder: Path) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "intermediate_size": 32}))


def empty(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


DAMAGES = {
    without_a_weight: "must be a whole BertModel with a tokenizer that pads, found no embeddings",
    with_a_pickle: "and .safetensors weights, found none that can be loaded",
    without_padding: "a tokenizer that pads, found no padding token",
    of_another_width: "found none that can be loaded",
    empty: "found none that can be loaded",
}
"""What is wrong with a network, and what is said of it."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("text")
    return {kind: write_text_encoder(root / kind, WORDS, kind) for kind in ("bert", "t5")}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda each: each.__name__)
def test_a_network_that_is_not_whole_is_refused(
    damage: Callable[[Path], None], reader: str, models: dict[str, str], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(models["bert"], tmp_path / "model"))
    damage(folder)
    with pytest.raises(InputError) as found:
        READERS[reader](str(folder))
    assert str(folder) in str(found.value)
    assert DAMAGES[damage] in str(found.value)


@pytest.mark.parametrize("reader", READERS)
def test_the_pooler_may_be_missing(reader: str, models: dict[str, str], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(models["bert"], tmp_path / "model"))
    weights = load_file(folder / "model.safetensors")
    kept = {name: each for name, each in weights.items() if "pooler" not in name}
    assert len(kept) < len(weights)
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    READERS[reader](str(folder))


@pytest.mark.parametrize("reader", READERS)
def test_the_encoder_of_a_whole_t5_is_read(
    reader: str, models: dict[str, str], tmp_path: Path
) -> None:
    import transformers

    folder = Path(shutil.copytree(models["t5"], tmp_path / "model"))
    alone = transformers.T5EncoderModel.from_pretrained(folder)
    whole = transformers.T5ForConditionalGeneration(alone.config)
    whole.encoder.load_state_dict(alone.encoder.state_dict())
    whole.shared.load_state_dict(alone.shared.state_dict())
    whole.save_pretrained(folder)
    expected, found = (READERS[reader](place) for place in (models["t5"], str(folder)))
    assert found.sha256 == expected.sha256
    texts = ["a cat"]
    if reader == "features":
        assert np.array_equal(found.embed(texts), expected.embed(texts))
    else:
        assert np.array_equal(found.embed(texts, 1)[0], expected.embed(texts, 1)[0])
