"""jobs/configs/my-folder.yaml on a folder of mixed pictures; a tiny local encoder, not DINOv2."""

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from otcondense.store import Store, class_file, read_manifest, read_table
from tests.runs import results, write_times
from tests.verbs import call

pytestmark = pytest.mark.usefixtures("ray_cluster")
ENCODER = (
    "{{name: {name}, weights: {weights}, num_classes: {classes}, image_size: 32, batch_size: 8}}"
)
COUNTS = {"café": 16, "dogs and cats": 14, "rare": 3}


def write_pictures(root: Path) -> None:
    """Grey, colour, CMYK and turned JPEGs, a PNG named .JPEG, and names of every kind."""
    generator = np.random.default_rng(0)
    for index, (name, count) in enumerate(COUNTS.items()):
        (root / name).mkdir(parents=True)
        for number in range(count):
            pixels = generator.integers(0, 90, (40 + number, 50, 3), dtype=np.uint8)
            pixels[..., index] += 150
            image = Image.fromarray(pixels).convert(("RGB", "L", "CMYK")[number % 3])
            exif = Image.Exif()
            exif[0x0112] = 6 if number % 5 == 0 else 1
            form = "PNG" if number % 7 == 3 and image.mode != "CMYK" else "JPEG"
            image.save(root / name / f"Größe {number:02d}.JPEG", form, exif=exif)


@pytest.fixture(scope="module")
def arguments(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    root = tmp_path_factory.mktemp("mine")
    write_pictures(root / "pictures")
    torch.manual_seed(0)
    save_file(
        timm.create_model("test_resnet", pretrained=False).state_dict(),
        root / "encoder.safetensors",
    )
    encoder = ENCODER.format(name="test_resnet", weights=root / "encoder.safetensors", classes=0)
    return [
        "--config=jobs/configs/my-folder.yaml",
        f"--run={root / 'run'}",
        f"source.path={root / 'pictures'}",
        f"encoder={encoder}",
        "extraction.num_encoders=0",
        "selection.settings.geometry_aware.rebuilds=0",
    ]


@pytest.mark.slow
def test_a_folder_becomes_a_subset_and_a_report(arguments: list[str]) -> None:
    call("run", arguments)
    run = Path(arguments[1].removeprefix("--run="))
    store = Store(str(run))
    manifest = read_manifest(store, next(run.glob("subset-*.parquet")).name).to_pylist()
    chosen = {name: [row for row in manifest if row["class_name"] == name] for name in COUNTS}
    assert {name: len(rows) for name, rows in chosen.items()} == {
        "café": 10,
        "dogs and cats": 10,
        "rare": 3,
    }
    assert all(np.isfinite(row["cross_entropy"]) for row in manifest)
    scores = next(run.glob("scores/probe-*")).relative_to(run).as_posix()
    for name, count in COUNTS.items():
        assert read_table(store, class_file(scores, name)).num_rows == count
    assert (run / "report.html").stat().st_size > 10_000

    before = results(run)
    work = [*run.glob("scores/**/part-*.parquet"), *run.glob("selection/**/selection.parquet")]
    times = write_times(work)
    call("run", arguments)
    assert results(run) == before
    assert write_times(work) == times


@pytest.mark.slow
def test_confidences_can_be_left_out(arguments: list[str], tmp_path: Path) -> None:
    run = tmp_path / "run"
    call("run", [*arguments, f"--run={run}", "confidence.kind=none"])
    (manifest,) = run.glob("subset-*.parquet")
    assert read_manifest(Store(str(run)), manifest.name).column("cross_entropy").null_count == 23


@pytest.mark.slow
def test_confidences_can_come_from_another_network(arguments: list[str], tmp_path: Path) -> None:
    torch.manual_seed(1)
    save_file(
        timm.create_model("test_byobnet", pretrained=False, num_classes=3).state_dict(),
        tmp_path / "judge.safetensors",
    )
    classifier = ENCODER.format(
        name="test_byobnet", weights=tmp_path / "judge.safetensors", classes=3
    )
    overrides = [
        f"--run={tmp_path / 'run'}",
        "confidence.kind=classifier",
        f"confidence.classifier={classifier}",
    ]
    call("run", [*arguments, *overrides])
    run = tmp_path / "run"
    assert len(list(run.glob("features/*"))) == 2
    table = read_manifest(Store(str(run)), next(run.glob("subset-*.parquet")).name)
    found = dict(
        zip(
            table.column("image_id").to_pylist(),
            table.column("cross_entropy").to_pylist(),
            strict=True,
        )
    )
    for path in run.glob("features/test_byobnet*/*/part-0.parquet"):
        stored = read_table(Store(str(run)), path.relative_to(run).as_posix())
        known = dict(
            zip(
                stored.column("image_id").to_pylist(),
                stored.column("cross_entropy").to_pylist(),
                strict=True,
            )
        )
        assert all(found[key] == known[key] for key in found.keys() & known.keys())
    assert len(found) == 23


@pytest.mark.slow
def test_features_without_images_are_enough(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    generator = np.random.default_rng(0)
    labels = np.repeat([0, 1], 15)
    (tmp_path / "mine").mkdir()
    np.save(
        tmp_path / "mine" / "features.npy",
        generator.normal(size=(30, 5)).astype(np.float32) + 2 * labels[:, None],
    )
    np.save(tmp_path / "mine" / "labels.npy", labels)
    run = tmp_path / "run"
    arguments = [
        "--config=jobs/configs/my-folder.yaml",
        f"--run={run}",
        f"source.path={tmp_path / 'mine'}",
        "source.kind=features",
    ]
    arguments.append("selection.settings.geometry_aware.rebuilds=0")
    call("run", arguments)
    assert "30 rows of 2 classes;" in capsys.readouterr().out
    manifest = read_manifest(Store(str(run)), next(run.glob("subset-*.parquet")).name)
    assert manifest.num_rows == 20
    assert np.isfinite(manifest.column("cross_entropy").to_numpy()).all()
    assert "features without images, so the report shows none" in (run / "report.html").read_text()
