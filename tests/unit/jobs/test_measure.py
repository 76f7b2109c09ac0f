"""Images measured without a run: every form of them, the cache, ADM's reference, and mistakes."""

import json
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from jobs.measure.__main__ import main
from jobs.measure.command import measure
from jobs.measure.config import MeasureConfig
from otcondense.datasets import center_crop, decode_image
from otcondense.encoders import EncoderConfig
from otcondense.errors import InputError
from otcondense.evaluation import EncodedImages
from otcondense.store import Store
from otcondense.store.images import write_images

COUNT, SIZE = 12, 16


def pixels(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, SIZE, SIZE, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("measure")
    torch.manual_seed(0)
    save_file(
        timm.create_model("test_resnet", num_classes=3).state_dict(), root / "judge.safetensors"
    )
    for name, seed in (("samples", 0), ("held_out", 1), ("training", 2)):
        images = pixels(COUNT, seed)
        np.savez(root / f"{name}.npz", arr_0=images)
        write_images(
            Store(str(root)),
            f"{name}.parquet",
            images.transpose(0, 3, 1, 2),
            np.zeros(COUNT, np.int64),
            fingerprint="x",
        )
        (root / name / "nested").mkdir(parents=True)
        for number, image in enumerate(images):
            Image.fromarray(image).save(
                root / name / ("nested" if number > 5 else "") / f"{number:03d}.png"
            )
        (root / name / "notes.txt").write_text("no image")
    return root


def config(root: Path, form: str = ".npz", **settings: object) -> MeasureConfig:
    judge = EncoderConfig(
        name="test_resnet",
        weights=str(root / "judge.safetensors"),
        num_classes=3,
        image_size=32,
        device="cpu",
    )
    names = {name: str(root / f"{name}{form}") for name in ("samples", "held_out", "training")}
    values = {
        "samples": names["samples"],
        "against": names["held_out"],
        "training": names["training"],
        "judge": judge,
    }
    return MeasureConfig.model_validate(
        {**values, "evaluation": {"network": "judge", "inception_score_splits": 2}, **settings}
    )


def test_the_form_of_the_images_does_not_matter(root: Path) -> None:
    expected = measure(config(root))
    assert {"fid", "precision", "copy_share", "inception_score"} <= set(expected["values"])
    assert (expected["num_samples"], expected["num_held_out"], expected["num_training"]) == (
        COUNT,
        COUNT,
        COUNT,
    )
    assert measure(config(root, ".parquet")) == expected
    # Files are taken in the order of their names, folders among them.
    assert measure(config(root, "")) == expected


def test_cached_features_are_used_again(root: Path, tmp_path: Path) -> None:
    first = measure(config(root, cache=str(tmp_path)))
    assert len(list(tmp_path.glob("*.safetensors"))) == 3
    with mock.patch(
        "otcondense.evaluation.judge.encode_images",
        side_effect=AssertionError("features were recomputed"),
    ):
        assert measure(config(root, ".parquet", cache=str(tmp_path))) == first
    kept = next(iter(tmp_path.glob("*.safetensors")))
    content = kept.read_bytes()
    kept.write_bytes(content[:-10])
    assert measure(config(root, cache=str(tmp_path))) == first
    assert kept.read_bytes() == content, "a damaged file of the cache is written again"


def test_other_settings_have_other_features(root: Path, tmp_path: Path) -> None:
    small = config(root, cache=str(tmp_path))
    assert small.judge is not None
    large = config(
        root, cache=str(tmp_path), judge=small.judge.model_copy(update={"image_size": 64})
    )
    first, other = measure(small), measure(large)
    assert (
        other["values"]
        == measure(large.model_copy(update={"cache": None}))["values"]
        != first["values"]
    )


def test_further_judges_prefix_their_metrics(root: Path) -> None:
    judge = config(root).judge
    assert judge is not None
    found = measure(config(root, judges={"second": judge}))
    assert found["values"]["second.frechet_distance"] == pytest.approx(
        found["values"]["frechet_distance"]
    )
    assert found["judges"]["second"]["encoder_sha256"] == found["encoder_sha256"]
    assert "second.cmmd" in found["values"]


def test_a_reference_file_gives_metrics_by_adms_protocol(root: Path, tmp_path: Path) -> None:
    features = {
        seed: torch.randn(COUNT, 5, generator=torch.Generator().manual_seed(seed)).double()
        for seed in (0, 1)
    }
    statistics = {"mu": features[1].mean(0).numpy(), "sigma": features[1].T.cov().numpy()}
    np.savez(tmp_path / "reference.npz", arr_0=pixels(COUNT, 1), **statistics)
    evaluation = {"network": "inception", "reference": str(tmp_path / "reference.npz")}
    answers = [EncodedImages(features[seed], features[seed]) for seed in (0, 1)]
    network = mock.Mock(weights_sha256="w")
    network.name = "inception"
    with (
        mock.patch("pipeline.judges.Inception", return_value=network),
        mock.patch("otcondense.evaluation.judge.encode_images", side_effect=answers),
    ):
        found = measure(
            MeasureConfig.model_validate(
                {"samples": str(root / "samples.npz"), "evaluation": evaluation}
            )
        )
    assert set(found["values"]) == {"adm_fid", "adm_inception_score", "adm_precision", "adm_recall"}
    np.savez(tmp_path / "reference.npz", arr_0=pixels(COUNT, 1)[:, :8, :8], **statistics)
    with (
        mock.patch("pipeline.judges.Inception", return_value=network),
        mock.patch("otcondense.evaluation.judge.encode_images", side_effect=answers),
        pytest.raises(
            InputError,
            match=r"the size \(8, 8\) \(height, width\) of the reference .*found \(16, 16\)",
        ),
    ):
        measure(
            MeasureConfig.model_validate(
                {"samples": str(root / "samples.npz"), "evaluation": evaluation}
            )
        )


def test_the_command_prints_and_writes_the_metrics(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    weights = f"weights: {root}/judge.safetensors"
    judge = f"judge={{name: test_resnet, {weights}, num_classes: 3, image_size: 32, device: cpu}}"
    images = [f"samples={root}/samples.npz", f"against={root}/held_out"]
    main(
        [
            *images,
            judge,
            "evaluation={network: judge, inception_score_splits: 2}",
            "--output",
            str(tmp_path / "figures.json"),
        ]
    )
    written = json.loads((tmp_path / "figures.json").read_text())
    assert written["values"]["fid"] > 0
    assert (
        f"{COUNT} samples against {COUNT} held-out images through test_resnet"
        in capsys.readouterr().out
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["samples=x.npz"], "against or evaluation.reference must be set"),
        (
            ["samples=x.npz", "against=y", "evaluation.network=judge"],
            "judge must be set with evaluation.network=judge",
        ),
        (
            ["samples=x.npz", "training=y", "evaluation.reference=r.npz"],
            "training and judges need against",
        ),
        (["sample=x.npz"], "sample is not a setting; did you mean samples?"),
        (["samples"], "must look like key=value"),
    ],
)
def test_mistakes_are_refused(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)
    assert message in capsys.readouterr().err


def test_the_network_follows_from_the_judge(root: Path) -> None:
    reference = MeasureConfig.model_validate(
        {"samples": "x.npz", "evaluation": {"reference": "r.npz"}}
    )
    assert reference.evaluation.network == "inception"
    judge = config(root).judge
    assert (
        MeasureConfig.model_validate(
            {"samples": "x.npz", "against": "y", "judge": judge}
        ).evaluation.network
        == "judge"
    )


def test_invalid_images_are_named(root: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"must be an \.npz file, a \.parquet file or a folder"):
        measure(config(root, samples=str(tmp_path / "nothing")))
    with pytest.raises(InputError, match="found neither"):
        measure(config(root, samples=str(tmp_path)))
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"none")
    (tmp_path / "c.heic").write_bytes(b"none")
    with pytest.raises(InputError, match=r"2 of 3 images of .* cannot be read, such as .*b\.png"):
        measure(config(root, samples=str(tmp_path)))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos of different sizes and colours, two that cannot be read, and hidden ones."""
    folder = tmp_path_factory.mktemp("photos")
    for number, pixel in enumerate(pixels(COUNT, 3)):
        image = Image.fromarray(pixel).resize((20 + number, 30), Image.Resampling.BICUBIC)
        image.convert(("RGB", "L", "CMYK")[number % 3]).save(folder / f"{number:02d} ä.jpg")
    (folder / "cut.jpg").write_bytes((folder / "00 ä.jpg").read_bytes()[:200])
    (folder / "phone.heic").write_bytes(b"none")
    (folder / "._01.jpg").write_bytes(b"none")
    (folder / ".trash").mkdir()
    (folder / ".trash" / "a.jpg").write_bytes((folder / "00 ä.jpg").read_bytes())
    return folder


def test_photos_of_any_size_get_that_of_the_samples(
    root: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = measure(config(root, against=str(photos)))
    assert found["num_held_out"] == COUNT
    assert found["resized_to"] == [SIZE, SIZE]
    assert found["left_out"] == {str(photos): 2}
    said = capsys.readouterr().out
    assert f"2 images of {photos} cannot be read" in said
    assert f"scaled and cut to {SIZE} x {SIZE} pixels" in said

    for path in photos.glob("*ä.jpg"):
        image = decode_image(path.read_bytes(), channels=3, max_pixels=10**6)
        center_crop(image, (SIZE, SIZE)).save(tmp_path / f"{path.stem}.png")
    assert measure(config(root, against=str(tmp_path)))["values"] == found["values"]


@pytest.mark.parametrize(("size", "expected"), [(None, [256, 256]), (24, [24, 24])])
def test_photos_as_samples_get_the_size_of_the_setting(
    root: Path, photos: Path, size: int | None, expected: list[int]
) -> None:
    found = measure(config(root, samples=str(photos), size=size))
    assert (found["num_samples"], found["resized_to"]) == (COUNT, expected)


def test_a_missing_setting_names_the_command_line_once(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([])
    assert capsys.readouterr().err.strip() == (
        "error: samples must be set: add samples=VALUE to the command line"
    )


@pytest.mark.parametrize("setting", ["samples", "against", "training"])
@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("nowhere", "found nothing at nowhere"),
        ("", "found an empty name"),
        ("empty", "empty must hold images"),
    ],
)
def test_paths_are_checked_before_weights(
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    setting: str,
    path: str,
    found: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty/.hidden").mkdir(parents=True)
    (tmp_path / "empty/.hidden/a.png").touch()
    judge = {"name": "test_resnet", "weights": str(root / "absent.safetensors"), "num_classes": 3}
    paths = {name: str(root / f"{name}.npz") for name in ("samples", "training")}
    values = {**paths, "against": str(root / "held_out.npz"), "judge": judge}
    with pytest.raises(InputError, match=found):
        measure(MeasureConfig.model_validate({**values, setting: path}))
    with pytest.raises(InputError, match=r"absent\.safetensors"):
        measure(MeasureConfig.model_validate(values))


def test_copies_among_the_real_images_are_counted(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "twice.npz", arr_0=np.repeat(pixels(COUNT, 1), 2, axis=0))
    measure(config(root).model_copy(update={"against": str(tmp_path / "twice.npz")}))
    assert "12 of the 24 images of `against` are copies of another one" in capsys.readouterr().out
    measure(config(root))
    assert "copies" not in capsys.readouterr().out
