"""Encoding for the evaluation with workers: the bytes are those of one process."""

from pathlib import Path

import numpy as np
import pytest
import torch

from otcondense.datasets import SourceConfig, scan_images
from otcondense.encoders import EncoderConfig
from otcondense.errors import InputError
from otcondense.store import Store
from otcondense.store.images import write_images
from pipeline.evaluation_place import EvaluationHere, EvaluationOnCluster
from pipeline.extraction_config import ExtractionConfig
from pipeline.judged_parts import Part, PixelFile, parts_of
from pipeline.judged_sets import ListedSet
from pipeline.judged_work import JudgedWork
from pipeline.judges import JudgeConfig
from tests.generators.weights import write_timm
from tests.ray.tiny import write_images as write_digits

FILES = 6
IMAGES = 10
TWO = ExtractionConfig(num_encoders=2, cpus_per_encoder=0.5)
HERE = ExtractionConfig(num_encoders=0)


@pytest.fixture
def judge(tmp_path: Path) -> JudgeConfig:
    encoder = EncoderConfig(
        name="test_resnet",
        weights=write_timm(tmp_path / "w.safetensors", "test_resnet", in_chans=1),
        image_size=32,
        in_chans=1,
        num_classes=0,
        batch_size=4,
        device="cpu",
    )
    return JudgeConfig.of(encoder, 8)


def parts(store: Store, judge: JudgeConfig, monkeypatch: pytest.MonkeyPatch) -> list[Part]:
    monkeypatch.setattr("pipeline.judged_parts.PART_IMAGES", IMAGES)
    rng = np.random.default_rng(0)
    files = []
    for number in range(FILES):
        images = rng.integers(0, 256, (IMAGES, 1, 8, 8), dtype=np.uint8)
        name = f"samples/part-{number}.parquet"
        write_images(store, name, images, np.zeros(IMAGES, np.int64), fingerprint="f")
        files.append(PixelFile(name, str(number), IMAGES))
    return parts_of("evaluation/x-0a1b2c3d", files, ("features",), judge)


def written(store: Store) -> dict[str, bytes]:
    return {name: store.read_bytes(name) for name in store.list("evaluation")}


@pytest.mark.slow
@pytest.mark.usefixtures("ray_cluster")
def test_the_number_of_workers_changes_no_byte(
    tmp_path: Path, judge: JudgeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_digits(tmp_path)
    source = SourceConfig(path=str(tmp_path / "held_out"))
    work = JudgedWork(judge, (1, 8, 8), source.max_pixels, needs_every_image=False)
    found = []
    for name, config in (("here", HERE), ("two", TWO)):
        store = Store(str(tmp_path / name))
        own = parts(store, judge, monkeypatch)
        place = (
            EvaluationOnCluster(store, config, "cpu")
            if config.uses_cluster
            else EvaluationHere(store, "cpu")
        )
        assert {part.result for part in place.encode(judge, own)} == {each.result for each in own}
        listed = ListedSet(store, "evaluation/held_out-0a1b2c3d", scan_images(source), work)
        seen: list[int] = []
        listed.encode(config, seen.append)
        assert sum(seen) == len(listed.listing)
        results = {done.number: done.result for done in place.measure([_double, _on])}
        assert results == {0: 2.0, 1: "cpu"}
        found.append(written(store))
    assert found[0] == found[1]
    assert len(found[0]) == FILES + 3

    own[0] = Part(own[0].result, (PixelFile("samples/none", "0", 1),), ("features",), judge)
    with pytest.raises(InputError, match="there is no image file"):
        list(place.encode(judge, own[:1]))


def _double(device: torch.device) -> float:
    return float(torch.ones(2, device=device).sum())


def _on(device: torch.device) -> str:
    return str(device)
