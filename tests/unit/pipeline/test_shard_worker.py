"""A worker checks its results, and gives the same bytes wherever images are decoded."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from otcondense.datasets import SourceConfig
from otcondense.encoders import EncoderConfig
from otcondense.errors import InputError
from otcondense.store import Store
from pipeline.extract import extract_features
from pipeline.extraction_config import ExtractionConfig
from pipeline.feature_work import RESULTS, FeatureNetwork
from pipeline.shard_worker import check_finite
from tests.generators.weights import write_timm

HERE = ExtractionConfig(num_encoders=0)


@pytest.mark.parametrize("name", RESULTS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_result_that_is_not_finite_is_refused_by_name(name: str, value: float) -> None:
    values = np.ones((3, 2), np.float32)
    check_finite(name, values, ["a/0.png", "a/1.png", "a/2.png"])
    values[1, -1] = value
    with pytest.raises(InputError, match=rf"^{name} must be finite.* a/1\.png and 0 more"):
        check_finite(name, values, ["a/0.png", "a/1.png", "a/2.png"])


def test_decoding_batches_where_the_network_is_gives_the_same_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    for number in range(9):
        path = tmp_path / "images" / f"{number % 2}" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(path)
    (tmp_path / "images" / "1" / "x.jpg").write_bytes(b"broken")
    source = SourceConfig(path=str(tmp_path / "images"), max_lost_share=0.5)
    encoder = EncoderConfig(
        name="test_resnet",
        weights=write_timm(tmp_path / "e.safetensors", "test_resnet"),
        num_classes=0,
        image_size=32,
        batch_size=4,
        device="cpu",
    )

    def batch_transform(network: FeatureNetwork) -> object:
        read = network._encoder.spec.read_batch
        return partial(read, max_pixels=10**6, device=torch.device("cpu"))

    found = []
    for run in ("threads", "batches"):
        if run == "batches":
            monkeypatch.setattr(FeatureNetwork, "batch_transform", property(batch_transform))
        store = Store(str(tmp_path / run))
        result = extract_features(store.root, "features", source, encoder, HERE, "stage")
        assert (result.num_images, result.num_quarantined) == (9, 1)
        found.append({name: store.read_bytes(name) for name in store.list("features")})
    assert found[0] == found[1]
