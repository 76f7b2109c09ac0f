"""Captions of a large class, whose features are in several files."""

from pathlib import Path

import numpy as np
import pytest

from otcondense.datasets import SourceConfig, scan_images, write_captions
from otcondense.encoders import AlignmentConfig, EncoderConfig
from otcondense.store import (
    ClassFeatures,
    FeaturePart,
    FeatureView,
    Store,
    read_class_features,
    with_confidences,
    write_class_features,
)
from otcondense.store.features import PartOf
from pipeline.caption_run import CaptionResult, encode_captions, score_by_alignment
from pipeline.caption_work import CaptionWork
from pipeline.extraction_config import ExtractionConfig
from tests.generators.vision_models import PROJECTED, write_model

COUNT = 9
HERE = ExtractionConfig(num_encoders=0)
TEXTS = [f"a cat {'grey ' * number}" for number in range(COUNT)]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A run with captions, and with features of one class in two files."""
    rows = np.random.default_rng(0).normal(size=(COUNT, PROJECTED)).astype(np.float32)
    (tmp_path / "given").mkdir()
    np.save(tmp_path / "given" / "features.npy", rows)
    np.save(tmp_path / "given" / "text.npy", np.array(TEXTS))
    path = str(tmp_path / "given")
    source = SourceConfig(path=path, kind="features", captions="text", label_column=None)
    listing = scan_images(source)
    store = Store(str(tmp_path / "run"))
    write_captions(store, "captions", listing)
    ids = listing.ids_of("given")
    for number in range(2):
        kept = slice(number, None, 2)
        part = ClassFeatures(
            class_name="given",
            class_index=0,
            image_ids=ids[kept],
            features=rows[kept],
            logits=None,
            cross_entropy=None,
            entropy=None,
            max_prob=None,
            width=np.zeros(len(ids[kept]), np.int32),
            height=np.zeros(len(ids[kept]), np.int32),
            sha256=[f"{each}-sha256" for each in ids[kept]],
            part=PartOf(number, 2),
        )
        write_class_features(store, "images", part, fingerprint=str(number))
    return store


def unseen(_done: int, _total: int) -> None:
    """Progress that nobody looks at."""


def work_of(store: Store, directory: str) -> CaptionWork:
    return CaptionWork(store, "captions", "images", directory, ["given"], "key")


def encoder(tmp_path: Path, **more: str) -> EncoderConfig:
    values = {"name": write_model(tmp_path, "clip"), "device": "cpu", **more}
    return EncoderConfig.model_validate(values)


def test_features_of_captions_have_the_same_parts(store: Store, tmp_path: Path) -> None:
    reader = encoder(tmp_path, input="caption")
    shown: list[tuple[int, int]] = []
    work = work_of(store, "texts")
    made = encode_captions(work, reader, HERE, lambda *at: shown.append(at))
    assert made == CaptionResult(1, 0)
    assert shown == [(0, COUNT), (COUNT, COUNT)]
    assert encode_captions(work, reader, HERE, unseen) == CaptionResult(1, 1)
    view = FeatureView((FeaturePart("images"), FeaturePart("texts")))
    whole = view.read(store, "given")
    assert whole.features.shape == (COUNT, 2 * PROJECTED)
    parts = [view.read_part(store, "given", number) for number in range(2)]
    assert sorted(parts[0].image_ids + parts[1].image_ids) == whole.image_ids


def test_the_agreement_of_a_class_is_in_one_file(store: Store, tmp_path: Path) -> None:
    config = AlignmentConfig(encoder=encoder(tmp_path), others=3)
    work = work_of(store, "scores")
    assert score_by_alignment(work, config, HERE, unseen) == CaptionResult(1, 0)
    assert score_by_alignment(work, config, HERE, unseen) == CaptionResult(1, 1)
    features = read_class_features(store, "images", "given")
    found = with_confidences(store, features, "scores")
    assert found.cross_entropy is not None
    assert len(found.cross_entropy) == COUNT
    assert found.logits is None
