"""Embeddings of captions: what they are, when they are made again, and what is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from otcondense.datasets import Listing
from otcondense.errors import InputError
from otcondense.representations import TextConfig, TextModel
from otcondense.representations.captions import (
    EMBEDDING,
    MASK,
    read_no_caption,
)
from otcondense.store import Store, class_file, read_array, read_table
from pipeline.extraction_config import ExtractionConfig
from pipeline.text_extraction import CaptionTarget, extract_captions
from pipeline.text_worker import CaptionActor, CaptionExtraction, CaptionWorker, shard_of
from tests.generators.weights import TEXT_ENCODERS, write_text_encoder

WORDS = ("a", "handwritten", "zero", "one", "two")
CAPTIONS = {
    "0/a": "a handwritten zero",
    "0/b": "zero",
    "0/c": "a zero",
    "1/a": "one",
    "1/b": "a handwritten one of many words that are cut",
}
ENCODERS = tuple(kind for kind in TEXT_ENCODERS if kind != "bart")
HERE = ExtractionConfig(num_encoders=0)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("text")
    return {kind: write_text_encoder(root / kind, WORDS, kind) for kind in TEXT_ENCODERS}


def config_of(model: str, **settings: int) -> TextConfig:
    values = {"batch_size": 2, "max_tokens": 4, **settings}
    return TextConfig(model=model, of="captions", device="cpu", **values)


def target_of(root: Path, captions: dict[str, str] = CAPTIONS) -> CaptionTarget:
    """The chosen images of two classes."""
    ids = list(captions)
    table = pa.table(
        {
            "image_id": pa.array(ids, pa.large_string()),
            "class_index": pa.array([int(each[0]) for each in ids], pa.int32()),
            "sha256": [f"{number:064d}" for number in range(len(ids))],
        }
    )
    store = Store(str(root))
    listing = Listing(("0", "1"), table)
    texts = pa.array(list(captions.values()), pa.large_string())
    return CaptionTarget(store, "text/x", "text/x/no_caption.parquet", listing, texts)


def extract(target: CaptionTarget, config: TextConfig) -> tuple[int, int]:
    """Return the numbers of classes that were embedded and skipped."""
    told: list[tuple[int, int]] = []
    done = extract_captions(target, config, HERE, lambda *counts: told.append(counts))
    assert told[-1] == (len(target.listing), len(target.listing))
    return done.classes_done, done.classes_skipped


def files(target: CaptionTarget) -> dict[str, bytes]:
    return {name: target.store.read_bytes(name) for name in target.store.list("text")}


@pytest.mark.parametrize("kind", ENCODERS)
def test_embeddings_are_the_last_states_of_the_encoder(
    kind: str, models: dict[str, str], tmp_path: Path
) -> None:
    config = config_of(models[kind])
    target = target_of(tmp_path)
    assert extract(target, config) == (2, 0)
    single = TextModel(config)
    for name, place in (("0", slice(0, 3)), ("1", slice(3, 5))):
        table = read_table(target.store, class_file("text/x", name))
        texts = list(CAPTIONS.values())[place]
        assert table.column("image_id").to_pylist() == list(CAPTIONS)[place]
        found, masks = read_array(table, EMBEDDING), read_array(table, MASK)
        assert found.dtype == np.float16
        assert found.shape == (len(texts), 4, 8)
        for text, embedding, mask in zip(texts, found, masks, strict=True):
            states, alone = single(text)
            np.testing.assert_array_equal(mask, alone)
            np.testing.assert_allclose(embedding[mask == 1], states[mask == 1], atol=2e-3)
            assert not embedding[mask == 0].any(), "padding is 0"
    assert np.isfinite(read_no_caption(target.store, target.no_caption)).all()


def test_bytes_do_not_depend_on_what_an_earlier_start_finished(
    models: dict[str, str], tmp_path: Path
) -> None:
    config = config_of(models["t5"])
    target = target_of(tmp_path / "whole")
    extract(target, config)
    whole = files(target)
    assert extract(target, config) == (0, 2)
    assert files(target) == whole, "and no file of a shard is left"

    begun = target_of(tmp_path / "begun")
    model = TextModel(config)
    extraction = CaptionExtraction(
        begun.store.root, begun.directory, config, model.sha256, begun.rows()
    )
    first = extraction.shards()[0]
    CaptionWorker(extraction).encode(first)
    assert extraction.is_finished(first)
    extract(begun, config)
    assert files(begun) == whole

    begun.store.write_bytes(class_file("text/x", "1"), b"damaged")
    assert extract(begun, config) == (1, 1)
    assert files(begun) == whole


def test_another_caption_embeds_its_class_again(models: dict[str, str], tmp_path: Path) -> None:
    config = config_of(models["t5"])
    extract(target_of(tmp_path), config)
    other = target_of(tmp_path, {**CAPTIONS, "0/b": "two"})
    assert extract(other, config) == (1, 1)
    assert extract(other, config_of(models["bert"])) == (2, 0), "as does another model"


def test_weights_that_change_on_the_way_are_refused(models: dict[str, str], tmp_path: Path) -> None:
    target = target_of(tmp_path)
    extraction = CaptionExtraction(
        target.store.root, "text/x", config_of(models["t5"]), "of others", target.rows()
    )
    with pytest.raises(InputError, match="the weights of the model for text changed"):
        CaptionWorker(extraction)


def test_an_actor_writes_the_shard_of_a_row_and_returns_its_error(
    models: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ray.get", lambda given: given)
    target, config = target_of(tmp_path), config_of(models["t5"])
    sha256 = TextModel(config).sha256
    extraction = CaptionExtraction(target.store.root, "text/x", config, sha256, target.rows())
    shard = extraction.shards()[-1]
    assert shard_of(CaptionActor([extraction])(shard.row())) == shard
    assert extraction.is_finished(shard)
    other = replace(extraction, weights_sha256="of others")
    with pytest.raises(InputError, match="the weights of the model for text changed"):
        shard_of(CaptionActor([other])(shard.row()))


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("bart", {}, r"must be a text encoder .* a bart with a decoder"),
        ("bert", {"max_tokens": 17}, r"text.max_tokens must be at most 16, .* found 17"),
        ("clip", {"max_tokens": 17}, r"text.max_tokens must be at most 16, .* found 17"),
    ],
)
def test_models_that_cannot_embed_are_refused(
    kind: str, settings: dict[str, int], message: str, models: dict[str, str]
) -> None:
    with pytest.raises(InputError, match=message):
        TextModel(config_of(models[kind], **settings))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"of": "captions", "prompt": "a {name}"}, "text.prompt is for text.of=class_names"),
        ({"of": "captions", "names": "n.json"}, "text.names is for text.of=class_names"),
        ({"images": "source"}, "text.images is for text.of=captions"),
        ({"batch_size": 3}, "text.batch_size is for text.of=captions"),
    ],
)
def test_settings_of_the_other_kind_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TextConfig(**settings)


def test_the_identity_of_class_names_is_that_of_earlier_versions() -> None:
    expected = {"model": "flan-t5-xl", "prompt": "{name}", "max_tokens": 16}
    assert TextConfig().identity() == expected
    assert TextConfig(of="captions").identity() == {
        "model": "flan-t5-xl",
        "of": "captions",
        "batch_size": 16,
        "max_tokens": 16,
    }
