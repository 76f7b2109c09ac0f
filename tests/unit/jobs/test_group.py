"""`otcondense group` on a run: what it says, what verify finds, and the forecast."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from sklearn.datasets import load_digits

from jobs.command.settings import load_config
from jobs.run_directory.groups import selection_groups
from jobs.run_directory.opening import read_run
from jobs.run_directory.run import Run
from jobs.run_directory.stages import matches, stages_of, verb_of
from jobs.verify.command import verify
from otcondense.store import (
    class_file,
    groups_file,
    read_class_features,
    read_fingerprint,
    read_groups,
    read_manifest,
    write_class_features,
)
from tests.verbs import call, output_of

IMAGES = 400
SETTINGS = ["cluster.use_ray=false"]


@pytest.fixture(scope="module")
def grouped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of digits whose images are grouped without their labels."""
    root = tmp_path_factory.mktemp("group")
    features, labels = load_digits(return_X_y=True)
    (root / "data").mkdir()
    np.save(root / "data" / "features.npy", features[:IMAGES].astype(np.float32))
    np.save(root / "data" / "labels.npy", labels[:IMAGES])
    config = {
        "run": str(root / "run"),
        "source": {"kind": "features", "path": str(root / "data")},
        "confidence": {"kind": "none"},
        "selection": {"budget": 30, "methods": ["random"]},
        "groups": {"most": 60, "labels": "ignore"},
    }
    (root / "config.yaml").write_text(yaml.safe_dump(config))
    call("extract_features", ["--config", str(root / "config.yaml"), *SETTINGS])
    call("group", [str(root / "run"), *SETTINGS])
    return root


@pytest.fixture
def run(grouped: Path, tmp_path: Path) -> Run:
    """A copy of the run."""
    shutil.copytree(grouped / "run", tmp_path / "run")
    return read_run(str(tmp_path / "run"))


def directory_of(run: Run) -> str:
    directory = run.groups_directory()
    assert directory is not None
    return directory


def test_the_end_of_the_stage_tells_the_sizes(run: Run) -> None:
    table = read_groups(run.store, directory_of(run))
    said = output_of("group", [run.store.root, *SETTINGS])
    expected = f"{IMAGES} images in {len(table.names)} groups of {min(table.sizes)} to "
    assert expected in said
    assert "finished earlier" in said
    fresh = output_of("group", [run.store.root, "--fresh", "--yes", *SETTINGS])
    assert expected in fresh
    assert "finished earlier" not in fresh


def test_classes_that_are_one_group_are_counted(run: Run) -> None:
    said = output_of("group", [run.store.root, "groups.labels=keep", "groups.most=41", *SETTINGS])
    sizes = np.bincount(load_digits().target[:IMAGES])
    assert f"{(sizes <= 41).sum()} of 10 classes are one group each" in said


def test_copies_beyond_the_bound_are_told(grouped: Path, tmp_path: Path) -> None:
    shutil.copytree(grouped / "data", tmp_path / "data")
    features = np.load(tmp_path / "data" / "features.npy")
    features[:200] = features[0]
    np.save(tmp_path / "data" / "features.npy", features)
    values = yaml.safe_load((grouped / "config.yaml").read_text())
    values |= {"run": str(tmp_path / "run")}
    values["source"]["path"] = str(tmp_path / "data")
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(values))
    call("extract_features", ["--config", str(tmp_path / "config.yaml"), *SETTINGS])
    said = output_of("group", [str(tmp_path / "run"), *SETTINGS])
    assert "copies, by their features, that do not fit into one group of 60" in said
    call("select_subset", [str(tmp_path / "run"), *SETTINGS, "selection.pool.num_actors=0"])
    run = read_run(str(tmp_path / "run"))
    assert len(read_manifest(run.store, run.manifest("random"))) == 30


def test_a_run_without_groups_says_what_to_set(run: Run) -> None:
    with pytest.raises(SystemExit):
        output_of("group", [run.store.root, "groups=null", *SETTINGS])


def test_groups_are_part_of_the_run_only_if_they_are_set(grouped: Path) -> None:
    names = {}
    for settings in ([], ["groups=null"]):
        config = load_config(str(grouped / "config.yaml"), settings)
        names[len(settings)] = [stage.name for stage in stages_of(config)]
    assert "group" in names[0]
    assert "group" not in names[1]


def test_every_file_belongs_to_the_stage(run: Run) -> None:
    names = run.store.list("groups")
    assert names
    assert {verb_of(name) for name in names} == {"group"}
    level = f"{directory_of(run)}/_levels/rows-1-000000-000000.parquet"
    assert verb_of(level) == "group"
    assert not matches(level, "groups/{hash}/groups.parquet")


def remove_a_group(run: Run) -> str:
    name = class_file(directory_of(run), next(iter(selection_groups(run).sizes)))
    run.store.remove(name)
    return f"{name}: the file is missing"


def damage_a_group(run: Run) -> str:
    name = class_file(directory_of(run), list(selection_groups(run).sizes)[-1])
    data = bytearray(run.store.read_bytes(name))
    data[len(data) // 3] ^= 1
    run.store.write_bytes(name, bytes(data))
    return f"{name}: damaged"


def remove_the_table(run: Run) -> str:
    name = groups_file(directory_of(run))
    run.store.remove(name)
    return f"{name}: the file is missing"


def exchange_two_groups(run: Run) -> str:
    first, second, *_ = (
        class_file(directory_of(run), name) for name in selection_groups(run).sizes
    )
    run.store.write_bytes(first, run.store.read_bytes(second))
    return f"{first}: it holds class"


def leave_an_old_group(run: Run) -> str:
    first = next(iter(selection_groups(run).sizes))
    features = read_class_features(run.store, directory_of(run), first)
    old = replace(features, class_name="all~9999")
    write_class_features(run.store, directory_of(run), old, fingerprint="old")
    return f"{class_file(directory_of(run), 'all~9999')}: it is no group of the table of groups"


def change_the_features(run: Run) -> str:
    """Give one class the features of other inputs."""
    directory = run.features_directory(run.config.encoder)
    features = read_class_features(run.store, directory, "3")
    made_from = read_fingerprint(run.store, class_file(directory, "3"))
    assert made_from is not None
    changed = replace(features, features=features.features + 1)
    write_class_features(run.store, directory, changed, fingerprint=made_from)
    return f"{groups_file(directory_of(run))}: its inputs or settings have changed"


FAULTS = (
    remove_a_group,
    damage_a_group,
    remove_the_table,
    exchange_two_groups,
    leave_an_old_group,
    change_the_features,
)


def test_verify_finds_nothing_wrong_with_groups(run: Run) -> None:
    assert verify(run) == []


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_verify_finds_and_the_stage_mends(run: Run, fault: Callable[[Run], str]) -> None:
    said = fault(run)
    problems = [str(problem) for problem in verify(run)]
    assert any(problem.startswith(said) for problem in problems)
    assert all("`otcondense group`" in problem for problem in problems)
    call("group", [run.store.root, *SETTINGS])
    assert verify(run) == []
