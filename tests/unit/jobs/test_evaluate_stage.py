"""The evaluation of a run: every image is encoded once, and a restart goes on where it was."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from jobs.evaluate.losses import loss_files
from jobs.evaluate.stage import encode_shared, evaluate
from jobs.evaluate.table import print_table
from jobs.judging.evaluation import Evaluation
from jobs.judging.loss_images import write_held_out_pixels
from jobs.judging.run_images import UNKNOWN_CLASS, HeldOutImages, SampledImages
from jobs.run_directory.config import RunConfig
from jobs.run_directory.results import read_metrics, read_subset_quality
from jobs.run_directory.run import Run
from jobs.run_directory.stages import is_result
from jobs.train.stage import train
from jobs.verify.files import read_facts
from otcondense import store
from otcondense.diffusion.checkpoint import load_model
from otcondense.diffusion.checkpoint_state import checkpoint_directory
from otcondense.diffusion.held_out_loss import (
    LossImages,
    mean_denoising_error,
    read_loss_images,
)
from otcondense.diffusion.sample_parts import SamplePart, part_name
from otcondense.diffusion.samples import read_samples, write_part
from otcondense.errors import InputError
from otcondense.evaluation import encode_images, evaluate_encoded, rounded_values
from otcondense.store import ClassSelection, manifest_table, sha256_bytes, write_table
from otcondense.store.tables import CHECKED_FOLDER
from pipeline import judged_parts, shard_worker
from pipeline.judged_parts import Part
from pipeline.judges import load_network
from tests.generators.weights import write_timm

CLASSES = ("a", "b")
HELD_OUT = 9
CHOSEN = (3, 0, 5)
SIZE = 8
SAMPLES = 20
BATCH = 8
METHOD = "random"
Values = dict[str, Any]
"""Settings of a part of a configuration."""


def write_images(root: Path, count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    for name in CLASSES:
        (root / name).mkdir(parents=True)
        for number in range(count):
            pixels = rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.png")


def write_manifest(run: Run, root: Path) -> None:
    selections = []
    for index, name in enumerate(CLASSES):
        ids = [f"{name}/{number}.png" for number in range(HELD_OUT)]
        chosen = np.array(CHOSEN)
        selections.append(
            ClassSelection(
                class_name=name,
                class_index=index,
                image_ids=ids,
                indices=chosen,
                received_mass=np.full(len(ids), 1 / len(ids)),
                assignment=np.resize(chosen, len(ids)),
                cross_entropy=None,
                rank=np.arange(len(chosen)),
                gain=np.full(len(chosen), np.nan),
                sha256=[sha256_bytes((root / each).read_bytes()) for each in ids],
            )
        )
    write_table(run.store, run.manifest(METHOD), manifest_table(selections), fingerprint="m")


def write_samples(run: Run, seed: int = 5) -> None:
    rng = np.random.default_rng(seed)
    for number, first in enumerate(range(0, SAMPLES, BATCH)):
        count = min(BATCH, SAMPLES - first)
        images = rng.integers(0, 256, (count, 3, SIZE, SIZE), dtype=np.uint8)
        part = SamplePart(part_name(number), first, count)
        labels = np.arange(first, first + count) % len(CLASSES)
        write_part(run.store, run.samples_directory("sit", METHOD, 2), part, (images, labels), "s")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    made = make_run(tmp_path)
    write_samples(made)
    return made


def make_run(tmp_path: Path) -> Run:
    """Return a run with a chosen subset of two classes, and a model to train."""
    for split, seed in (("train", 1), ("held_out", 2)):
        write_images(tmp_path / split, HELD_OUT, seed)
    encoder = {
        "name": "test_resnet",
        "weights": write_timm(tmp_path / "w.safetensors", "test_resnet"),
        "image_size": 32,
        "num_classes": 0,
        "device": "cpu",
        "batch_size": 4,
    }
    model = {"name": "SiT-demo/2", "width": 16, "depth": 1, "num_heads": 2}
    training = {"model": model, "num_steps": 2, "checkpoint_steps": [2], "subsets": [METHOD]}
    values = {
        "run": str(tmp_path / "run"),
        "source": {"path": str(tmp_path / "train")},
        "held_out": {"path": str(tmp_path / "held_out")},
        "encoder": encoder,
        "judges": {"second": {**encoder, "image_size": 16}},
        "extraction": {"num_encoders": 0},
        "selection": {"budget": 3, "methods": [METHOD]},
        "pixels": {"size": SIZE, "channels": 3},
        "evaluation": {"batch_size": 4, "inception_score_splits": 2, "kid_subsets": 2},
        "models": {"sit": {"training": training, "sampling": {"num_samples": SAMPLES}}},
    }
    made = Run(RunConfig.model_validate(values))
    write_manifest(made, tmp_path / "train")
    return made


class Work:
    """What was encoded, by the names of files and places of shards."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.parts: list[str] = []
        self.shards: list[int] = []
        encode_part = judged_parts.encode_part
        encode = shard_worker.ShardWorker.encode

        def part_noted(root: object, part: Part, *rest: object) -> None:
            self.parts.append(part.result)
            encode_part(root, part, *rest)  # type: ignore[arg-type]

        def shard_noted(worker: object, shard: object) -> object:
            self.shards.append(shard.number)  # type: ignore[attr-defined]
            return encode(worker, shard)  # type: ignore[arg-type]

        monkeypatch.setattr("pipeline.evaluation_place.encode_part", part_noted)
        monkeypatch.setattr(shard_worker.ShardWorker, "encode", shard_noted)


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    return Work(monkeypatch)


def feature_files(run: Run) -> dict[str, bytes]:
    return {name: run.store.read_bytes(name) for name in run.store.list("evaluation")}


def test_the_metrics_are_those_of_all_images_in_one_process(run: Run) -> None:
    evaluate(run)
    (row,) = read_metrics(run)
    evaluation = Evaluation(run)
    config = run.config.judge_or_encoder
    network = load_network(config)
    images, _ = read_samples(run.store, run.samples_directory("sit", METHOD, 2), SAMPLES)
    samples = encode_images(torch.from_numpy(images), network, 4)
    held_out = evaluation.judge.encode(evaluation.held_out.images)
    chosen = evaluation.judge.encode(evaluation.training(METHOD))
    expected = evaluate_encoded(samples, held_out, network, run.config.evaluation, training=chosen)
    found = {name: value for name, value in row.record.values.items() if "second." not in name}
    assert found == rounded_values(expected.values)
    assert "second.recall" in row.record.values
    assert set(row.record.class_frechet_distance) == set(CLASSES)
    assert row.record.num_training == len(CLASSES) * len(CHOSEN)
    assert read_subset_quality(run)[METHOD].values["num_images"] == len(CLASSES) * len(CHOSEN)


def test_stored_features_are_those_of_the_images_in_their_order(run: Run) -> None:
    evaluate(run)
    evaluation = Evaluation(run)
    held_out = evaluation.judge.encode(evaluation.held_out.images).features
    chosen = evaluation.judge.encode(evaluation.training(METHOD)).features
    assert torch.equal(evaluation.held_out_features, held_out)
    assert torch.equal(evaluation.chosen_features(METHOD), chosen)


def test_every_image_is_encoded_once_for_each_network(run: Run, work: Work) -> None:
    evaluate(run)
    assert len(work.parts) == len(set(work.parts)) == 2
    encoded = len(work.shards)
    evaluate(run)
    assert (len(work.parts), len(work.shards)) == (2, encoded)


def test_processes_that_share_a_run_encode_held_out_images_once(run: Run, work: Work) -> None:
    encode_shared(run)
    shared, held_out = feature_files(run), len(work.shards)
    assert held_out
    evaluate(run, apart="a")
    chosen = len(work.shards) - held_out
    evaluate(run, apart="b")
    assert len(work.shards) == held_out + 2 * chosen
    assert shared.items() <= feature_files(run).items()


def test_a_restart_skips_what_is_encoded(
    run: Run, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judged_parts, "PART_IMAGES", BATCH)

    kept = store.write_table

    def write(*arguments: object, **others: object) -> None:
        if len(work.parts) == 2:
            raise KeyboardInterrupt
        kept(*arguments, **others)  # type: ignore[arg-type]

    monkeypatch.setattr(judged_parts, "write_table", write)
    with pytest.raises(KeyboardInterrupt):
        evaluate(run)
    monkeypatch.setattr(judged_parts, "write_table", kept)
    first, shards = list(work.parts), len(work.shards)
    evaluate(run)
    # The part that was lost is encoded again, the one before it and the listed images are not.
    assert work.parts[2] == first[1]
    assert first[0] not in work.parts[2:]
    assert len(read_metrics(run)) == 1
    assert len(work.shards) == shards


def test_features_that_are_not_known_are_read_once(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate(run)
    run.store.remove(CHECKED_FOLDER)
    evaluate(run)

    read_again: list[str] = []

    def read(_: object, name: str) -> None:
        read_again.append(name)

    monkeypatch.setattr("pipeline.judged_sets.read_fingerprint", read)
    monkeypatch.setattr("pipeline.judged_parts.read_fingerprint", read)
    evaluate(run)
    assert read_again == []


@pytest.mark.parametrize("part", ["held_out", "chosen", "sit"])
def test_a_damaged_file_of_features_is_encoded_again(run: Run, part: str) -> None:
    evaluate(run)
    whole = feature_files(run)
    name = next(each for each in whole if each.split("/")[1].startswith(part))
    data = bytearray(whole[name])
    data[len(data) // 2] ^= 1
    run.store.write_bytes(name, bytes(data))
    assert is_result(name)
    assert [(each.file, each.verb) for each in read_facts(run.store)[1]] == [(name, "evaluate")]
    evaluate(run)
    assert read_facts(run.store)[1] == []
    assert feature_files(run) == whole


def test_the_table_has_no_metric_without_a_value(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    evaluate(run)
    capsys.readouterr()
    print_table(run)
    printed = capsys.readouterr().out
    assert "Coverage ↑" in printed
    assert "IS ↑" not in printed  # the judge has no classes
    assert "nan" not in printed
    assert "FID ↓" in printed
    assert " FD ↓" not in printed  # it repeats FID
    header, row = printed.splitlines()[1:3]
    assert len(header) == len(row)


def test_other_samples_are_measured_again(run: Run, work: Work) -> None:
    evaluate(run)
    before = read_metrics(run)[0].record
    write_samples(run, seed=6)
    shards = len(work.shards)
    evaluate(run)
    after = read_metrics(run)[0].record
    assert after.fingerprint != before.fingerprint
    assert after.values["fid"] != before.values["fid"]
    assert len(work.parts) == 4
    assert len(work.shards) == shards


def test_a_held_out_image_that_cannot_be_decoded_is_named(run: Run) -> None:
    assert run.config.held_out is not None
    (Path(run.config.held_out.path) / "b" / "4.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"image b/4.png of .*held_out cannot be used"):
        evaluate(run)


def test_missing_samples_are_named(run: Run) -> None:
    run.store.remove(f"{run.samples_directory('sit', METHOD, 2)}/{part_name(2)}")
    with pytest.raises(InputError, match="must hold 20 samples, found 16"):
        evaluate(run)


LOSSES = ("held_out_loss", "training_loss", "loss_gap")


def without_workers(run: Run, training: Values, sampling: Values) -> Run:
    """Return a run that works in this process, with other settings of its model."""
    plain = run.config.model_dump(mode="json", exclude_unset=True)
    plain["models"]["sit"]["training"] |= {"num_workers": 0, "device": "cpu", **training}
    plain["models"]["sit"]["sampling"] |= sampling
    plain["samplers"] = {"num_actors": 0}
    return Run(RunConfig.model_validate(plain))


def test_a_trained_model_has_the_loss_of_images_it_has_not_seen(run: Run) -> None:
    here = without_workers(run, {}, {})
    train(here)
    evaluate(here)
    values = read_metrics(here)[0].record.values
    model, checkpoint = load_model(
        here.store, checkpoint_directory(here.training_directory("sit", METHOD), 2)
    )
    evaluation = Evaluation(here)
    found = {}
    for name, images, classes in (
        ("held_out_loss", evaluation.held_out.images, evaluation.held_out.classes),
        ("training_loss", evaluation.training(METHOD), np.repeat([0, 1], len(CHOSEN))),
    ):
        pixels = torch.cat(list(images.parts()))
        data = LossImages.spread(pixels, torch.from_numpy(classes), ())
        found[name] = mean_denoising_error(model, checkpoint.state.objective, data)
    found["loss_gap"] = found["held_out_loss"] - found["training_loss"]
    assert {name: values[name] for name in LOSSES} == rounded_values(found)
    assert is_result(here.held_out_pixels_file())


def test_without_a_checkpoint_there_is_no_loss(run: Run) -> None:
    evaluate(run)
    assert not set(LOSSES) & set(read_metrics(run)[0].record.values)
    assert not run.store.exists(run.held_out_pixels_file())


def test_held_out_images_of_unknown_classes_have_no_loss(run: Run) -> None:
    held_out = HeldOutImages(run)
    held_out.__dict__["classes"] = np.full(2 * HELD_OUT, UNKNOWN_CLASS)
    assert write_held_out_pixels(run, held_out) == ""
    known = HeldOutImages(run)
    known.__dict__["classes"] = np.repeat([UNKNOWN_CLASS, 1], HELD_OUT)
    data = read_loss_images(run.store, write_held_out_pixels(run, known), ())
    assert torch.equal(data.images, torch.cat(list(known.images.parts()))[HELD_OUT:])
    assert data.labels.tolist() == [1] * HELD_OUT


def test_models_of_latents_have_no_loss_and_a_note_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = make_run(tmp_path).config.model_dump(mode="json", exclude_unset=True)
    plain["models"]["sit"]["training"]["data"] = "latents"
    plain["models"]["sit"]["sampling"]["clip"] = False
    plain["pixels"] = {"size": 256, "channels": 3}
    run = Run(RunConfig.model_validate(plain))
    assert loss_files(Evaluation(run), [SampledImages(run, "sit", METHOD, 2)]) == {}
    assert "held-out latents are not made" in capsys.readouterr().out
