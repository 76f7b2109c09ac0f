"""Each kind of damage to a tiny run is reported with its file; an undamaged run has no problem."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import yaml
from PIL import Image
from safetensors.torch import save_file

from actors.class_selection import run_selector
from jobs.command.settings import load_config
from jobs.extract_features.stage import extract
from jobs.run_directory.marker import write_marker
from jobs.run_directory.run import Run
from jobs.run_directory.stages import STAGES
from jobs.verify.__main__ import main
from jobs.verify.command import verify
from jobs.verify.evidence import STALE
from jobs.verify.files import Problem, read_facts
from jobs.work_units.listed import Listed
from jobs.work_units.selection import selection_units
from otcondense.diffusion.checkpoint import save_checkpoint
from otcondense.diffusion.checkpoint_state import checkpoint_directory
from otcondense.diffusion.training import create_state
from otcondense.store import (
    Store,
    manifest_table,
    read_class_features,
    read_table,
    selection_file,
    table_metadata,
    with_confidences,
    write_class_features,
    write_class_selection,
    write_table,
)
from tests.runs import example_of

METHODS = ("random", "herding")
SIZE = 6
MAX_MEGABYTES = 100.0
"""Most of it are Arrow and pandas, which Arrow imports to make its first array."""
MEASURED_VERIFY = """
import re, sys
from pathlib import Path
from jobs.verify.__main__ import main
main(sys.argv[1:])
status = Path("/proc/self/status").read_text()
peak, files = (int(re.search(rf"{each}:\\s+(\\d+) kB", status)[1]) for each in ("VmHWM", "RssFile"))
print(peak - files, *sys.modules)
"""
"""Prints peak memory in kB and modules; `ru_maxrss` would include the memory of the parent.

Libraries are left out: how many of their pages are in memory depends on how they were written.
"""


def make_run(root: Path) -> Run:
    """Write a run of two classes without a cluster, from the features to one checkpoint."""
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
        "selection": {"budget": 2, "methods": list(METHODS), "held_out_copies": "keep"},
        "models": {"m": {"training": training, "sampling": {}}},
    }
    (root / "c.yaml").write_text(yaml.safe_dump(values))
    run = Run(load_config(str(root / "c.yaml"), []))
    write_marker(run)
    torch.manual_seed(0)
    save_file(timm.create_model("test_resnet", num_classes=0).state_dict(), root / "e.safetensors")
    fill(run)
    return run


def fill(run: Run) -> None:
    extract(run)
    directory, confidences = run.features_directory(run.config.encoder), run.confidence_directory()
    for method in METHODS:
        chosen = []
        for unit in selection_units(run, method, Listed.of(run)):
            features = read_class_features(run.store, directory, unit.class_name)
            features = with_confidences(run.store, features, confidences)
            chosen.append(run_selector(method, unit.settings, features))
            write_class_selection(
                run.store, unit.directory, chosen[-1], fingerprint=unit.fingerprint
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
    checkpoint = checkpoint_directory(run.training_directory("m", "random"), 0)
    return {
        "features": f"{run.features_directory(run.config.encoder)}/class_name=a/part-0.parquet",
        "scores": f"{run.confidence_directory()}/class_name=a/part-0.parquet",
        "selection": f"{run.selection_directory('herding')}/class_name=a/selection.parquet",
        "manifest": run.manifest("random"),
        "weights": f"{checkpoint}/ema.safetensors",
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


def test_any_other_table_in_place_of_a_file_is_found(run: Run) -> None:
    """The other files are whole, with other columns, some of the right class."""
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
    """The file is whole, but it records a wrong SHA-256 of an image."""
    table = read_table(run.store, run.manifest("random"))
    hashes = table.column("sha256").to_pylist()
    table = table.set_column(
        table.column_names.index("sha256"), "sha256", [["0" * 64, *hashes[1:]]]
    )
    write_table(run.store, run.manifest("random"), table, fingerprint="m")
    assert any("are not images of" in problem.found for problem in verify(run))


def test_features_of_a_changed_image_are_found(run: Run, tmp_path: Path) -> None:
    # copytree keeps the times of change, so that nothing else differs.
    shutil.copytree(run.config.source.path, tmp_path / "images")
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
    assert verify(again) == [], "another time is no other content"
    pixels = np.asarray(Image.open(path)) ^ 1
    Image.fromarray(pixels).save(path)
    assert [(problem.file, problem.found) for problem in verify(again)] == [
        (f"{directory}/class_name=a/part-0.parquet", STALE)
    ]


def test_selections_from_changed_features_are_found(run: Run) -> None:
    """The features were rewritten with other values and the right fingerprint."""
    name = files(run)["features"]
    features = read_class_features(run.store, name.split("/class_name")[0], "a")
    mark = table_metadata(read_table(run.store, name))["fingerprint"]
    changed = replace(features, features=features.features + 1)
    write_class_features(run.store, name.split("/class_name")[0], changed, fingerprint=mark)
    stale = {problem.file for problem in verify(run) if problem.found == STALE}
    assert stale == {
        *(f"{run.confidence_directory()}/class_name={each}/part-0.parquet" for each in "ab"),
        *(
            f"{run.selection_directory(method)}/class_name=a/selection.parquet"
            for method in METHODS
        ),
    }


def test_an_image_without_features_is_found(run: Run, undamaged: Run, tmp_path: Path) -> None:
    shutil.copytree(undamaged.config.source.path, tmp_path / "images")
    (tmp_path / "images" / "a" / "more.png").write_bytes(b"")
    source = run.config.source.model_copy(update={"path": str(tmp_path / "images")})
    moved = Run(run.config.model_copy(update={"source": source}))
    old = run.features_directory(run.config.encoder)
    new = moved.features_directory(moved.config.encoder)
    shutil.copytree(run.store.path(old), run.store.path(new))
    assert any(
        "6 images and 0 quarantined ones, the source has 7" in problem.found
        for problem in verify(moved)
    )


def test_a_problem_is_one_line_with_status_1(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run.store.write_bytes(run.manifest("random"), b"PAR1")
    with pytest.raises(SystemExit) as ended:
        main([run.store.root])
    line = capsys.readouterr().out.splitlines()[0]
    assert ended.value.code == 1
    assert line.startswith(f"{run.manifest('random')}: damaged")
    assert "otcondense select_subset" in line


def test_a_directory_without_a_run_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([str(tmp_path)])
    assert ended.value.code == 2
    assert "found an empty folder" in capsys.readouterr().err


def outputs() -> list[tuple[str, str]]:
    """Return verb and an example of a file for each output of each stage."""
    examples = []
    for stage in STAGES:
        for pattern in stage.outputs:
            name = example_of(pattern)
            if name.endswith((".parquet", ".json")):
                examples.append((stage.name, name))
    return examples


@pytest.mark.parametrize(("verb", "name"), outputs())
def test_the_advice_for_a_damaged_file_is_the_verb_of_its_stage(
    verb: str, name: str, tmp_path: Path
) -> None:
    store = Store(str(tmp_path))
    store.write_bytes(name, b"PAR1")
    _, problems = read_facts(store)
    if name.endswith((".parquet", ".json")):
        assert [(problem.file, problem.verb) for problem in problems] == [(name, verb)]
    assert f"run `otcondense {verb}` again" in str(Problem(name, "damaged"))


@pytest.mark.parametrize("kind", ["aum", "denoising"])
def test_the_advice_for_damaged_difficulty_scores_is_to_score(run: Run, kind: str) -> None:
    name = f"{run.scores_directory(kind)}/class_name=a/part-0.parquet"
    run.store.write_bytes(name, b"PAR1")
    assert [problem.verb for problem in verify(run) if problem.file == name] == ["score"]


def test_the_advice_for_a_damaged_checkpoint_is_to_train(run: Run) -> None:
    run.store.write_bytes(files(run)["weights"], b"")
    assert {problem.verb for problem in verify(run)} == {"train"}


def test_a_run_without_features_is_checked_without_torch_and_ray(run: Run) -> None:
    for name in ("features", "scores", "selection", "training"):
        run.store.remove(name)
    for method in METHODS:
        run.store.remove(run.manifest(method))
    command = [sys.executable, "-c", MEASURED_VERIFY, run.store.root]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    first, _, last = printed.splitlines()
    kilobytes, *modules = last.split()
    assert "0 problems" in first
    assert not {"torch", "ray"} & set(modules)
    assert float(kilobytes) <= 1024 * MAX_MEGABYTES


def test_a_missing_list_of_unreadable_images_is_reported(run: Run) -> None:
    name = f"{run.features_directory(run.config.encoder)}/_quarantine.parquet"
    run.store.remove(name)
    assert [str(problem) for problem in verify(run)] == [
        f"{name}: the file is missing; run `otcondense extract_features` again to rewrite it"
    ]


def test_missing_images_of_a_training_are_reported(run: Run) -> None:
    checkpoint = checkpoint_directory(run.training_directory("m", "random"), 1)
    run.store.write_bytes(f"{checkpoint}/state.json", b"{}")
    assert run.images_file("random") in {problem.file for problem in verify(run)}


@pytest.mark.parametrize("name", ["run.json", "config.yaml"])
def test_a_damaged_marker_is_reported(run: Run, name: str) -> None:
    content = run.store.read_bytes(name)
    run.store.write_bytes(name, content.replace(b"budget", b"bugdet", 1))
    (problem,) = verify(run)
    assert problem.file == name
    assert "damaged" in str(problem)


def test_results_behind_a_link_to_another_disk_are_checked(run: Run, tmp_path: Path) -> None:
    for name in ("features", "selection"):
        shutil.move(run.store.path(name), tmp_path / "disk" / name)
        Path(run.store.path(name)).symlink_to(tmp_path / "disk" / name)
    assert verify(run) == []
    damaged = selection_file(run.selection_directory("random"), "a")
    run.store.write_bytes(damaged, run.store.read_bytes(damaged)[:-30])
    assert damaged in {problem.file for problem in verify(run)}
