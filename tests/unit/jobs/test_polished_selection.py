"""Polished selections of groups: files, manifest, and all that reads them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jobs.command.settings import load_config
from jobs.dashboard.class_states import selections_on_disk
from jobs.run_directory.groups import selection_groups
from jobs.run_directory.run import Run
from jobs.run_directory.subset_manifest import stored_composed
from jobs.select_subset.stage import is_done, select_subset
from jobs.trials import selecting
from jobs.trials.selecting import select_trials
from jobs.trials.trial import Trial
from jobs.verify.evidence import gather
from jobs.verify.files import Problem
from jobs.verify.subsets import check_manifests, check_selections
from jobs.work_units import polish as units
from jobs.work_units.listed import Listed
from jobs.work_units.polish import left_unpolished, polish_units
from jobs.work_units.selection import selection_units
from otcondense.errors import InputError
from otcondense.store import (
    ClassSelection,
    read_class_features,
    read_class_selection,
    read_manifest,
    selection_file,
)
from tests.generators.grouped_runs import SIZES, grouped_run
from tests.runs import write_times

METHOD = "geometry_aware"
METHODS = [METHOD, "random"]


@pytest.fixture(scope="module", params=["keep", "ignore"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a run whose subsets are chosen and polished; tests only read it."""
    root = tmp_path_factory.mktemp("polished")
    made = grouped_run(root, request.param, methods=METHODS, polish=True)
    select_subset(made)
    return made


def pairs(run: Run) -> dict[str, tuple[ClassSelection, ClassSelection]]:
    """Return the selection of each group by itself, and the polished one."""
    directories = (run.unpolished_directory(METHOD), run.selection_directory(METHOD))
    found = {}
    for name in selection_groups(run).sizes:
        own, polished = (read_class_selection(run.store, each, name) for each in directories)
        found[name] = (own, polished)
    return found


def statistics(run: Run, class_name: str, number: int) -> float:
    """Return the distance of the chosen images of a class from its mean and spread."""
    directory = run.groups_directory()
    assert directory is not None
    rows, chosen = [], []
    for name, selections in pairs(run).items():
        if selection_groups(run).class_of[name] == class_name:
            features = read_class_features(run.store, directory, name).features.astype(float)
            rows.append(features)
            chosen.append(features[selections[number].indices])
    whole, mine = np.concatenate(rows), np.concatenate(chosen)
    means = np.square(mine.mean(axis=0) - whole.mean(axis=0)).sum()
    return float(means + np.square(mine.std(axis=0, ddof=1) - whole.std(axis=0, ddof=1)).sum())


def problems(run: Run) -> list[Problem]:
    evidence = gather(run)
    found = [*evidence.damaged, *check_selections(evidence)]
    return [*found, *check_manifests(evidence, {each.file for each in found})]


def test_the_statistics_of_each_class_are_better_and_reported_as_they_are(run: Run) -> None:
    groups = selection_groups(run)
    improved = 0
    for name, (_, polished) in pairs(run).items():
        facts: Any = polished.summary.diagnostics.get("polish")
        if facts is None:
            assert list(groups.class_of.values()).count(groups.class_of[name]) == 1
            continue
        before, after = (statistics(run, groups.class_of[name], each) for each in (0, 1))
        assert facts["whole_statistics_before"] == pytest.approx(before)
        assert facts["whole_statistics"] == pytest.approx(after)
        improved += after < before
    assert improved


def test_each_group_keeps_its_number_and_its_bound(run: Run) -> None:
    changed = 0
    for own, polished in pairs(run).values():
        assert len(polished.indices) == len(own.indices)
        assert polished.summary.lower_bound == own.summary.lower_bound
        if set(polished.indices) == set(own.indices):
            assert polished.summary.objective == own.summary.objective
            continue
        changed += 1
        assert polished.summary.objective is not None
        assert own.summary.lower_bound is not None
        assert polished.summary.objective >= own.summary.lower_bound
        assert not polished.summary.swap_optimal
        assert polished.received_mass.sum() == pytest.approx(1)
    assert changed


def test_the_steps_lead_to_the_polished_choice(run: Run) -> None:
    for _, polished in pairs(run).values():
        chosen: set[int] = set()
        for step in polished.summary.history:
            chosen -= {step.removed} if step.removed is not None else set()
            chosen.add(step.added)
        if not polished.summary.diagnostics.get("take_all"):
            assert chosen == set(polished.indices.tolist())


def test_manifest_page_and_certificate_are_those_of_the_polished_choice(run: Run) -> None:
    manifest = read_manifest(run.store, run.manifest(METHOD))
    expected: set[str] = set()
    for _, polished in pairs(run).values():
        expected |= {polished.image_ids[index] for index in polished.indices}
    assert set(manifest.column("image_id").to_pylist()) == expected
    assert len(selections_on_disk(run)) == len(METHODS) * len(selection_groups(run).sizes)
    found = stored_composed(run, METHOD)
    assert found is not None
    sizes = selection_groups(run).sizes
    parts = [
        sizes[name] * (polished.summary.objective or 0.0)
        for name, (_, polished) in pairs(run).items()
    ]
    assert found.objective == pytest.approx(sum(parts) / sum(sizes.values()))
    assert found.lower_bound <= found.objective


def test_a_polished_run_verifies_and_the_same_start_writes_nothing(run: Run) -> None:
    assert problems(run) == []
    names = [name for name in run.store.list("selection") if name.endswith("selection.parquet")]
    paths = [Path(run.store.path(name)) for name in names]
    before = write_times(paths)
    select_subset(run)
    assert write_times(paths) == before


def test_the_end_of_the_stage_says_what_was_improved(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    select_subset(run)
    found = capsys.readouterr()
    printed = found.out + found.err
    assert "geometry_aware: polishing took the statistics term of " in printed
    assert "random: polishing" not in printed


def test_the_choices_before_are_those_of_a_run_without_polishing(tmp_path: Path) -> None:
    plain = grouped_run(tmp_path, methods=METHODS)
    polished = grouped_run(tmp_path, methods=METHODS, polish=True)
    directory = plain.selection_directory(METHOD)
    assert polished.unpolished_directory(METHOD) == directory
    assert polished.selection_directory(METHOD) != directory
    assert plain.unpolished_directory(METHOD) == directory
    assert polished.selection_directory("random") == plain.selection_directory("random")


def test_a_missing_or_foreign_file_is_found_and_written_again_with_equal_bytes(
    tmp_path: Path,
) -> None:
    run = grouped_run(tmp_path, methods=[METHOD], polish=True)
    select_subset(run)
    directory = run.selection_directory(METHOD)
    first, second = (
        Path(run.store.path(selection_file(directory, name))) for name in ("a~0001", "a~0002")
    )
    before = first.read_bytes()
    first.write_bytes(second.read_bytes())
    assert {each.file for each in problems(run)} == {selection_file(directory, "a~0001")}
    first.unlink()
    select_subset(run)
    assert first.read_bytes() == before
    assert problems(run) == []


def test_images_that_must_and_must_not_be_chosen_stay_so(tmp_path: Path) -> None:
    kept, out = ["a/01.png", "a/02.png"], ["b/00.png", "b/01.png"]
    run = grouped_run(tmp_path, "ignore", methods=[METHOD], include=kept, exclude=out, polish=True)
    select_subset(run)
    ids = read_manifest(run.store, run.manifest(METHOD)).column("image_id").to_pylist()
    assert set(kept) < set(ids)
    assert not set(out) & set(ids)


def test_a_class_that_is_too_large_keeps_its_choices_and_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(units, "MOST_POLISHED", SIZES["a"] - 1)
    run = grouped_run(tmp_path, methods=[METHOD], polish=True)
    select_subset(run)
    for name, (own, polished) in pairs(run).items():
        if name.startswith("a~"):
            assert polished.summary == own.summary
    (sentence,) = left_unpolished(run, selection_groups(run))
    assert sentence.startswith("class a keeps the choices of its 3 groups")
    assert problems(run) == []


def test_a_changed_selection_of_a_group_polishes_its_class_again(tmp_path: Path) -> None:
    made = []
    for kept in ([], ["a/01.png"]):
        run = grouped_run(tmp_path, methods=[METHOD], include=kept, polish=True)
        listed = Listed.of(run)
        made.append(list(polish_units(run, listed.groups, selection_units(run, METHOD, listed))))
    assert not any(is_done(run, result) for unit in made[0] for result in unit.results)
    for before, after in zip(*made, strict=True):
        same = [one.fingerprint for one in before.results] == [
            one.fingerprint for one in after.results
        ]
        assert same == (before.class_name != "a")


def test_the_subset_of_a_trial_is_polished_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selecting, "_with_actors", lambda run: run)
    run = grouped_run(tmp_path, methods=[METHOD], polish=True)
    trial = Trial({"selection.budget": 8}, run, "0a1b2c3d")
    assert select_trials([trial]) == [trial]
    assert problems(run) == []
    assert any(own.summary != polished.summary for own, polished in pairs(run).values())


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"budgets": [8, 12]}, "budgets"),
        ({"settings": {METHOD: {"statistics": "full"}}}, "statistics=diagonal"),
        ({"settings": {METHOD: {"objective": "transport"}}}, "objective=regularized"),
        ({"settings": {METHOD: {"preset": "paper"}}}, "reference=null"),
    ],
)
def test_settings_that_do_not_go_with_polishing_are_refused(
    settings: dict[str, Any], named: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=named):
        grouped_run(tmp_path, methods=[METHOD], polish=True, **settings)


@pytest.mark.parametrize("setting", ["polish=true", "allocation=objective", "allocation=uniform"])
def test_settings_of_groups_are_refused_without_groups(setting: str, tmp_path: Path) -> None:
    grouped_run(tmp_path, methods=[METHOD])
    config = str(tmp_path / "c.yaml")
    with pytest.raises(InputError, match=r"is for groups, found groups=null; set groups\.most"):
        load_config(config, ["groups=null", f"selection.{setting}"])


def test_other_methods_are_not_polished(tmp_path: Path) -> None:
    run = grouped_run(tmp_path, methods=["random"], budgets=[8, 12], polish=True)
    assert not any(map(run.is_polished, run.config.selection.subsets))
    assert load_config(str(tmp_path / "c.yaml"), []).selection.polish
