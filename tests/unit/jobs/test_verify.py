"""Each kind of damage to a tiny run is named with its file; an undamaged run has no problem."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import yaml
from PIL import Image
from safetensors.torch import save_file

from actors.selector import run_selector
from jobs.command.settings import load_config
from jobs.extract_features.stage import extract
from jobs.run_directory.opening import describe
from jobs.run_directory.run import Run
from jobs.select_subset.stage import selection_units
from jobs.verify.__main__ import main
from jobs.verify.command import verify
from otcondense.datasets import list_images
from otcondense.diffusion.checkpoint import checkpoint_directory, save_checkpoint
from otcondense.diffusion.training import create_state
from otcondense.store import (
    manifest_table,
    read_class_features,
    read_table,
    table_metadata,
    with_confidences,
    write_class_features,
    write_class_selection,
    write_table,
)

METHODS = ("random", "herding")
SIZE = 6


def make_run(root: Path) -> Run:
    """Write a run of two classes without a cluster: features, selections, manifests and one checkpoint."""
    rng = np.random.default_rng(0)
    for class_name in "ab":
        (root / "images" / class_name).mkdir(parents=True)
        for number in range(SIZE):
            pixels = rng.integers(0, 256, (4, 4), dtype=np.uint8)
            Image.fromarray(pixels).save(root / "images" / class_name / f"{number}.png")
    model = {"name": "SiT-demo/2", "width": 16, "depth": 1, "num_heads": 2}
    training = {
        "model": model,
        "subsets": ["random"],
        "num_steps": 1,
        "checkpoint_steps": [1],
        "global_batch_size": 2,
    }
    values = {
        "run": str(root / "run"),
        "source": {"path": str(root / "images")},
        "held_out": {"path": str(root / "images")},
        "encoder": {
            "name": "test_resnet",
            "weights": str(root / "e.safetensors"),
            "num_classes": 0,
            "image_size": 32,
            "device": "cpu",
        },
        "confidence": {"kind": "probe"},
        "extraction": {"num_encoders": 0},
        "selection": {"budget": 2, "methods": list(METHODS)},
        "models": {"m": {"training": training, "sampling": {}}},
    }
    (root / "c.yaml").write_text(yaml.safe_dump(values))
    run = Run(load_config(str(root / "c.yaml"), []))
    run.store.write_bytes("config.yaml", yaml.safe_dump(describe(run)).encode())
    torch.manual_seed(0)
    save_file(timm.create_model("test_resnet", num_classes=0).state_dict(), root / "e.safetensors")
    fill(run)
    return run


def fill(run: Run) -> None:
    extract(run)
    directory, confidences = run.features_directory(run.config.encoder), run.confidence_directory()
    for method in METHODS:
        chosen = []
        for unit in selection_units(run, method, list_images(run.config.source)):
            features = with_confidences(
                run.store,
                read_class_features(run.store, directory, unit["class_name"]),
                confidences,
            )
            chosen.append(run_selector(method, unit["settings"], features))
            write_class_selection(
                run.store, unit["directory"], chosen[-1], fingerprint=unit["fingerprint"]
            )
        write_table(run.store, run.manifest(method), manifest_table(chosen), fingerprint="m")
    state = create_state(run.config.models["m"].training, num_classes=2, image_shape=(1, 8, 8))
    for parameter in state.model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    state.optimizer.step()
    save_checkpoint(run.store, run.training_directory("m", "random"), state, fingerprint="t")


@pytest.fixture(scope="module")
def undamaged(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_run(tmp_path_factory.mktemp("verify"))


@pytest.fixture
def run(undamaged: Run, tmp_path: Path) -> Run:
    shutil.copytree(undamaged.store.root, tmp_path / "run")
    return Run(undamaged.config.model_copy(update={"run": str(tmp_path / "run")}))


def files(run: Run) -> dict[str, str]:
    """One file of each kind."""
    return {
        "features": f"{run.features_directory(run.config.encoder)}/class_name=a/part-0.parquet",
        "scores": f"{run.confidence_directory()}/class_name=a/part-0.parquet",
        "selection": f"{run.selection_directory('herding')}/class_name=a/selection.parquet",
        "manifest": run.manifest("random"),
        "weights": f"{checkpoint_directory(run.training_directory('m', 'random'), 0)}/ema.safetensors",
    }


def named(run: Run, name: str) -> bool:
    place = name.rsplit("/", 1)[0] if name.endswith(".safetensors") else name
    return any(problem.file.startswith(place) for problem in verify(run))


def test_an_undamaged_run_has_no_problem(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert verify(run) == []
    main([run.store.root])
    assert "0 problems" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["features", "scores", "selection", "manifest", "weights"])
@pytest.mark.parametrize("place", [0.02, 0.3, 0.6, 0.98])
def test_a_flipped_bit_is_found(run: Run, kind: str, place: float) -> None:
    name = files(run)[kind]
    data = bytearray(run.store.read_bytes(name))
    data[int(place * len(data))] ^= 16
    run.store.write_bytes(name, bytes(data))
    assert named(run, name)


@pytest.mark.parametrize("kind", ["features", "scores", "selection", "manifest", "weights"])
def test_a_truncated_file_is_found(run: Run, kind: str) -> None:
    name = files(run)[kind]
    run.store.write_bytes(name, run.store.read_bytes(name)[:-100])
    assert named(run, name)


@pytest.mark.parametrize("kind", ["features", "scores", "selection", "manifest", "weights"])
def test_a_missing_file_is_found(run: Run, kind: str) -> None:
    name = files(run)[kind]
    run.store.remove(name)
    assert named(run, name)


@pytest.mark.parametrize("kind", ["features", "scores", "selection"])
def test_files_swapped_between_classes_are_found(run: Run, kind: str) -> None:
    one = files(run)[kind]
    other = one.replace("class_name=a", "class_name=b")
    contents = run.store.read_bytes(one), run.store.read_bytes(other)
    run.store.write_bytes(one, contents[1])
    run.store.write_bytes(other, contents[0])
    assert named(run, one)
    assert named(run, other)


def test_any_other_table_in_the_place_of_one_is_found(run: Run) -> None:
    """Whole files with digests of their own, of the right class at times, and with other columns than are looked for."""
    tables = [name for name in run.store.list() if name.endswith(".parquet")]
    assert any("_quarantine" in name for name in tables)
    for kind in ("features", "scores", "selection", "manifest"):
        name = files(run)[kind]
        content = run.store.read_bytes(name)
        for other in tables:
            if (moved := run.store.read_bytes(other)) != content:
                run.store.write_bytes(name, moved)
                assert named(run, name), other
        run.store.write_bytes(name, content)
    assert verify(run) == []


def test_swapped_manifests_are_found(run: Run) -> None:
    run.store.write_bytes(run.manifest("random"), run.store.read_bytes(run.manifest("herding")))
    assert [problem.file for problem in verify(run)] == [run.manifest("random")]


def test_a_manifest_of_changed_images_is_found(run: Run) -> None:
    """The file is whole, with a digest of its own, but names an image by another SHA-256."""
    table = read_table(run.store, run.manifest("random"))
    hashes = table.column("sha256").to_pylist()
    table = table.set_column(
        table.column_names.index("sha256"), "sha256", [["0" * 64, *hashes[1:]]]
    )
    write_table(run.store, run.manifest("random"), table, fingerprint="m")
    assert any("are not images of" in problem.found for problem in verify(run))


def test_features_of_an_image_that_has_changed_are_found(run: Run, tmp_path: Path) -> None:
    shutil.copytree(
        run.config.source.path, tmp_path / "images"
    )  # with the times of change, so that nothing else differs
    path = tmp_path / "images" / "a" / "0.png"
    source = run.config.source.model_copy(update={"path": str(tmp_path / "images")})
    moved = Run(run.config.model_copy(update={"source": source}))
    directory = moved.features_directory(moved.config.encoder)
    again = Run(
        moved.config.model_copy(
            update={
                "run": str(tmp_path / "again"),
                "confidence": run.config.confidence.model_copy(update={"kind": "none"}),
            }
        )
    )
    extract(again)
    assert verify(again) == []
    os.utime(path, ns=(0, 0))
    assert [(problem.file, problem.found) for problem in verify(again)] == [
        (f"{directory}/class_name=a/part-0.parquet", "made from other inputs than the run has now")
    ]


def test_selections_of_other_features_are_found(run: Run) -> None:
    """The features were rewritten with other values, whole and under the right fingerprint."""
    name = files(run)["features"]
    features = read_class_features(run.store, name.split("/class_name")[0], "a")
    mark = table_metadata(read_table(run.store, name))["fingerprint"]
    changed = replace(features, features=features.features + 1)
    write_class_features(run.store, name.split("/class_name")[0], changed, fingerprint=mark)
    stale = {
        problem.file
        for problem in verify(run)
        if problem.found == "made from other inputs than the run has now"
    }
    assert stale == {
        *(f"{run.confidence_directory()}/class_name={each}/part-0.parquet" for each in "ab"),
        *(
            f"{run.selection_directory(method)}/class_name=a/selection.parquet"
            for method in METHODS
        ),
    }


def test_an_image_without_features_is_counted(run: Run, undamaged: Run, tmp_path: Path) -> None:
    shutil.copytree(undamaged.config.source.path, tmp_path / "images")
    (tmp_path / "images" / "a" / "more.png").write_bytes(b"")
    source = run.config.source.model_copy(update={"path": str(tmp_path / "images")})
    moved = Run(run.config.model_copy(update={"source": source}))
    for before, after in ((run, moved),):
        old, new = (each.features_directory(each.config.encoder) for each in (before, after))
        shutil.copytree(run.store.path(old), run.store.path(new))
    assert any(
        "6 images and 0 quarantined ones, the source has 7" in problem.found
        for problem in verify(moved)
    )


def test_a_problem_is_one_line_and_ends_with_1(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run.store.write_bytes(run.manifest("random"), b"PAR1")
    with pytest.raises(SystemExit) as ended:
        main([run.store.root])
    line = capsys.readouterr().out.splitlines()[0]
    assert ended.value.code == 1
    assert line.startswith(f"{run.manifest('random')}: damaged")
    assert "python -m jobs.select_subset" in line


def test_a_directory_without_a_run_is_a_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([str(tmp_path)])
    assert ended.value.code == 2
    assert "found no config.yaml" in capsys.readouterr().err
