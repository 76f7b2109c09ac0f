"""A worker checks its results, and gives the same bytes wherever images are decoded."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
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
from pipeline.shard_worker import ShardResult, ShardWorker, check_finite
from pipeline.shards import Shard
from pipeline.stream import Here
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


@pytest.fixture
def source(tmp_path: Path) -> SourceConfig:
    """Nine images of two classes, and a broken one."""
    rng = np.random.default_rng(0)
    for number in range(9):
        path = tmp_path / "images" / f"{number % 2}" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)).save(path)
    (tmp_path / "images" / "1" / "x.jpg").write_bytes(b"broken")
    return SourceConfig(path=str(tmp_path / "images"), max_lost_share=0.5)


@pytest.fixture
def encoder(tmp_path: Path) -> EncoderConfig:
    return EncoderConfig(
        name="test_resnet",
        weights=write_timm(tmp_path / "e.safetensors", "test_resnet"),
        num_classes=0,
        image_size=32,
        batch_size=4,
        device="cpu",
    )


def files(root: Path, source: SourceConfig, encoder: EncoderConfig) -> dict[str, bytes]:
    """Return the files that an extraction into `root` writes."""
    store = Store(str(root))
    result = extract_features(store.root, "features", source, encoder, HERE, "stage")
    assert (result.num_images, result.num_quarantined) == (9, 1)
    return {name: store.read_bytes(name) for name in store.list("features")}


def test_shards_at_the_same_time_give_the_same_files(
    tmp_path: Path, source: SourceConfig, encoder: EncoderConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a worker with a GPU, whose threads share the network."""
    expected = files(tmp_path / "in-turn", source, encoder)
    numbers: list[int] = []

    def two_at_once(here: Here, shards: Sequence[Shard]) -> Iterator[ShardResult]:
        worker = ShardWorker(here._extraction)
        numbers.extend(shard.number for shard in shards)
        with ThreadPoolExecutor(2) as pool:
            yield from pool.map(worker.encode, shards)

    monkeypatch.setattr(Here, "encode", two_at_once)
    assert files(tmp_path / "together", source, encoder) == expected
    assert len(numbers) > 1


def test_decoding_batches_where_the_network_is_gives_the_same_files(
    tmp_path: Path, source: SourceConfig, encoder: EncoderConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def batch_transform(network: FeatureNetwork) -> object:
        read = network._encoder.spec.read_batch
        return partial(read, max_pixels=10**6, device=torch.device("cpu"))

    expected = files(tmp_path / "threads", source, encoder)
    monkeypatch.setattr(FeatureNetwork, "batch_transform", property(batch_transform))
    assert files(tmp_path / "batches", source, encoder) == expected
