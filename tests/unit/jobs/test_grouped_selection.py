"""Selection from groups: numbers of images, files, manifest, and all that reads it."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from jobs.answers.card_facts import card_facts
from jobs.answers.left_out import Chosen, chosen_of
from jobs.answers.read import read_answer
from jobs.dashboard.atlas import atlas
from jobs.dashboard.class_states import selections_on_disk
from jobs.dashboard.class_view import class_view, selected_classes
from jobs.export.choices import choices_of
from jobs.report.data import collect
from jobs.run_directory.budgets import check_budgets
from jobs.run_directory.groups import selection_groups
from jobs.run_directory.listing import run_listing
from jobs.run_directory.run import Run
from jobs.run_directory.subset_manifest import stored_composed
from jobs.select_subset.stage import is_done, select_subset
from jobs.thumbnails.stored import write_thumbnails
from jobs.trackers.figures import selection_rows
from jobs.verify.evidence import gather
from jobs.verify.files import Problem
from jobs.verify.subsets import check_manifests, check_selections
from jobs.work_units.listed import Listed
from jobs.work_units.paths import path_units
from jobs.work_units.selection import selection_units
from otcondense.datasets import scan_images
from otcondense.errors import InputError
from otcondense.exports.card.facts import Origin
from otcondense.exports.choice_formats import export_choices
from otcondense.exports.subsets import EXPORTS, ExportConfig, export_subset
from otcondense.report import render_report
from otcondense.report.answer import answer_lines
from otcondense.store import (
    ALL_CLASSES,
    read_class_selection,
    read_fingerprint,
    read_manifest,
    selection_file,
)
from tests.generators.grouped_runs import SIZES, grouped_run
from tests.runs import results, write_times

METHODS = ["geometry_aware", "random"]
BUDGET = {"keep": 8, "ignore": 16}
ALLOCATIONS = (
    ("proportional", "keep"),
    ("sqrt", "ignore"),
    ("uniform", "keep"),
    ("objective", "ignore"),
)
"""Every way to share a budget, and each way to use labels with some of them."""


@pytest.fixture(scope="module", params=["keep", "ignore"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a run whose subsets are chosen; tests only read it."""
    made = grouped_run(tmp_path_factory.mktemp("grouped"), request.param, methods=METHODS)
    select_subset(made)
    return made


def labels_of(run: Run) -> str:
    assert run.config.groups is not None
    return run.config.groups.labels


def numbers(run: Run, subset: str) -> dict[str, int]:
    """Return the images that each group gives to a subset."""
    found = selection_units(run, subset, Listed.of(run))
    return {unit.class_name: min(unit.settings["budget"], unit.size) for unit in found}


def test_the_manifest_holds_the_classes_of_the_source(run: Run) -> None:
    table = read_manifest(run.store, run.manifest("geometry_aware"))
    listing = run_listing(run)
    for row in table.to_pylist():
        assert row["class_name"] == row["image_id"].split("/")[0]
        assert row["class_index"] == listing.classes.index(row["class_name"])
        assert row["group"] in selection_groups(run).sizes
    order = table.select(["class_index", "group", "choice"]).to_pylist()
    assert order == sorted(order, key=lambda row: tuple(row.values()))


def test_choice_and_rank_count_the_images_of_each_class(run: Run) -> None:
    table = read_manifest(run.store, run.manifest("geometry_aware")).to_pandas()
    for _, rows in table.groupby("class_name"):
        assert sorted(rows["choice"]) == list(range(len(rows)))
        assert sorted(rows["rank"]) == list(range(len(rows)))


def test_masses_sum_to_one_and_weights_average_one_in_what_has_a_budget(run: Run) -> None:
    table = read_manifest(run.store, run.manifest("random")).to_pandas()
    one = table.assign(class_name=ALL_CLASSES) if labels_of(run) == "ignore" else table
    for _, rows in one.groupby("class_name"):
        assert rows["represented_mass"].sum() == pytest.approx(1)
        assert rows["weight"].mean() == pytest.approx(1)


def test_the_budget_of_a_class_is_met_exactly(run: Run) -> None:
    groups = selection_groups(run)
    for class_name, size in groups.class_sizes().items():
        mine = [
            number
            for group, number in numbers(run, "random").items()
            if groups.class_of[group] == class_name
        ]
        assert sum(mine) == min(BUDGET[labels_of(run)], size)


def test_the_same_start_again_writes_nothing(run: Run) -> None:
    names = [name for name in run.store.list("selection") if name.endswith("selection.parquet")]
    paths = [Path(run.store.path(name)) for name in names]
    before = write_times(paths)
    select_subset(run)
    assert write_times(paths) == before


def test_all_that_reads_selections_reads_groups(run: Run) -> None:
    names = list(selection_groups(run).sizes)
    assert selected_classes(run, "random") == sorted(names)
    assert len(selections_on_disk(run)) == len(METHODS) * len(names)
    for name in names:
        assert class_view(run, "geometry_aware", name).map is not None
    assert [each.name for each in atlas(run, "random").classes] == sorted(names)
    assert dict(selection_rows(run))["random"]["groups"] == len(names)
    assert {each.name for each in card_facts(run, "random", None, Origin()).classes} == set(names)


def test_answer_and_report_have_one_objective_bound_and_gap(run: Run) -> None:
    found = stored_composed(run, "geometry_aware")
    assert found is not None
    assert 0 <= found.gap < 1
    assert stored_composed(run, "random") is None
    answer = read_answer(run)
    assert any(found.words() in line for line in answer_lines(answer))
    assert f"{found.objective:.6g}" in render_report(collect(run))
    assert sum(each.num_chosen for each in answer.subsets) > 0


def test_the_objective_is_the_weighted_mean_of_those_of_the_groups(run: Run) -> None:
    found = stored_composed(run, "geometry_aware")
    assert found is not None
    sizes = selection_groups(run).sizes
    total = 0.0
    for name, size in sizes.items():
        directory = run.selection_directory("geometry_aware")
        objective = read_class_selection(run.store, directory, name).summary.objective
        total += size / sum(sizes.values()) * (objective or 0.0)
    assert found.objective == pytest.approx(total)


def test_equal_images_that_several_groups_chose_are_named() -> None:
    columns = {
        "image_id": ["a/3", "a/1", "a/2", "a/0"],
        "class_name": ["a"] * 4,
        "group": ["a~1", "a~1", "a~2", "a~3"],
        "sha256": ["x", "y", "x", "z"],
    }
    found = chosen_of(pa.table(columns))
    assert found == Chosen({"a~1": 2, "a~2": 1, "a~3": 1}, 1, ("a/2", "a/3"))


def test_pictures_are_made_of_the_chosen_images(run: Run) -> None:
    chosen = read_manifest(run.store, run.manifest("random")).column("image_id").to_pylist()
    assert set(write_thumbnails(run, "random")) == set(chosen)


@pytest.mark.parametrize("form", sorted(EXPORTS))
def test_every_format_takes_a_subset_of_groups(run: Run, form: str, tmp_path: Path) -> None:
    manifest = read_manifest(run.store, run.manifest("random"))
    config = ExportConfig(output=str(tmp_path / "out"), format=form)
    listing = scan_images(run.config.source)
    count = export_subset(manifest, run.config.source, config, print, lambda: listing)
    assert count == len(manifest)


@pytest.mark.parametrize("form", ["embedding_atlas", "fiftyone"])
def test_what_became_of_every_image_is_exported_once(run: Run, form: str, tmp_path: Path) -> None:
    choices = choices_of(run, None, None)
    output = str(tmp_path / {"embedding_atlas": "out.parquet"}.get(form, "out"))
    assert export_choices(choices, form, output, print) == sum(SIZES.values())
    rows = [row for each in choices.read() for row in each.rows().to_pylist()]
    assert {row["image_id"].split("/")[0] == row["class_name"] for row in rows} == {True}
    places = {(row["class_name"], row["rank"]) for row in rows}
    assert len(places) == len(rows)


def problems(run: Run) -> list[Problem]:
    """Return what is wrong with selections and manifests; features have checks of their own."""
    evidence = gather(run)
    found = [*evidence.damaged, *check_selections(evidence)]
    return [*found, *check_manifests(evidence, {each.file for each in found})]


def test_a_run_of_groups_verifies_and_a_changed_file_is_found(tmp_path: Path) -> None:
    run = grouped_run(tmp_path, methods=["random"], allocation="objective")
    select_subset(run)
    assert problems(run) == []
    first, second, *_ = list(selection_groups(run).sizes)
    directory = run.selection_directory("random")
    one, other = (Path(run.store.path(selection_file(directory, each))) for each in (first, second))
    one.write_bytes(other.read_bytes())
    assert selection_file(directory, first) in {each.file for each in problems(run)}


@pytest.mark.slow
def test_a_path_that_is_missing_is_found(tmp_path: Path) -> None:
    run = grouped_run(tmp_path, methods=["random"], allocation="objective")
    select_subset(run)
    name = selection_file(run.paths_directory(), "a~0001")
    Path(run.store.path(name)).unlink()
    assert {each.file for each in problems(run)} == {name}


@pytest.mark.parametrize(("allocation", "labels"), ALLOCATIONS)
def test_every_allocation_meets_the_budget_within_the_groups(
    allocation: str, labels: str, tmp_path: Path
) -> None:
    run = grouped_run(tmp_path, labels, methods=["random"], allocation=allocation)
    select_subset(run)
    groups = selection_groups(run)
    found = numbers(run, "random")
    assert all(1 <= number <= groups.sizes[name] for name, number in found.items())
    chosen = len(read_manifest(run.store, run.manifest("random")))
    assert chosen == sum(found.values())
    if labels == "ignore":
        assert chosen == BUDGET[labels]


def test_finished_paths_are_skipped_and_their_settings_count(tmp_path: Path) -> None:
    run = grouped_run(tmp_path, methods=["random"], allocation="objective")
    select_subset(run)
    assert all(is_done(run, unit) for unit in path_units(run, Listed.of(run)))
    settings = {"geometry_aware": {"kappa": 1.5}}
    other = grouped_run(tmp_path, methods=["random"], allocation="objective", settings=settings)
    assert other.paths_directory() != run.paths_directory()
    assert other.manifest("random") != run.manifest("random")


@pytest.mark.parametrize(
    "allocation", ["proportional", pytest.param("objective", marks=pytest.mark.slow)]
)
def test_nested_budgets_nest_in_every_group(allocation: str, tmp_path: Path) -> None:
    values: dict[str, Any] = {"budgets": [6, 7, 12], "budget": 10}
    run = grouped_run(tmp_path, "ignore", methods=["random"], allocation=allocation, **values)
    select_subset(run)
    chosen = []
    for subset in run.config.selection.subsets:
        ids = read_manifest(run.store, run.manifest(subset)).column("image_id").to_pylist()
        chosen.append(set(ids))
    assert [len(each) for each in chosen] == [6, 7, 12]
    assert chosen[0] < chosen[1] < chosen[2]


def test_images_that_must_and_must_not_be_chosen_are_found_in_their_groups(
    tmp_path: Path,
) -> None:
    kept = [f"a/{number:02}.png" for number in (1, 2, 3, 4, 5)]
    out = ["b/00.png", "b/01.png"]
    run = grouped_run(
        tmp_path, "ignore", methods=["geometry_aware", "random"], include=kept, exclude=out
    )
    assert check_budgets(run) == []
    select_subset(run)
    for subset in run.config.selection.subsets:
        ids = read_manifest(run.store, run.manifest(subset)).column("image_id").to_pylist()
        assert set(kept) < set(ids)
        assert not set(out) & set(ids)


@pytest.mark.parametrize(("labels", "budget"), [("keep", 2), ("ignore", 5)])
def test_a_budget_below_the_number_of_groups_says_the_ways_on(
    labels: str, budget: int, tmp_path: Path
) -> None:
    run = grouped_run(tmp_path, labels, budget=budget)
    with pytest.raises(InputError, match="raise the budget, raise groups"):
        check_budgets(run)


def test_more_groups_than_the_least_are_counted_when_they_are_there(tmp_path: Path) -> None:
    run = grouped_run(tmp_path, "ignore", budget=7)
    assert run.config.groups is not None
    fewer = run.config.model_copy(
        update={"groups": run.config.groups.model_copy(update={"most": 1000})}
    )
    assert check_budgets(Run(fewer)) == []


def test_a_class_that_is_one_group_chooses_as_without_groups(tmp_path: Path) -> None:
    grouped = grouped_run(tmp_path, methods=["random", "geometry_aware"], budget=4)
    plain = Run(grouped.config.model_copy(update={"groups": None}))
    for run in (grouped, plain):
        select_subset(run)
    for subset in ("random", "geometry_aware"):
        tables = [
            read_manifest(run.store, run.manifest(subset)).to_pandas() for run in (grouped, plain)
        ]
        of_class = [table[table["class_name"] == "c"] for table in tables]
        assert (
            of_class[0]
            .drop(columns="group")
            .reset_index(drop=True)
            .equals(of_class[1].reset_index(drop=True))
        )


@pytest.mark.slow
def test_two_runs_of_one_configuration_have_equal_bytes(tmp_path: Path) -> None:
    made = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        run = grouped_run(tmp_path / name, methods=["geometry_aware"], allocation="objective")
        select_subset(run)
        tables = read_manifest(run.store, run.manifest("geometry_aware"))
        made.append(tables.replace_schema_metadata(None))
    assert made[0].equals(made[1])


def test_fingerprints_of_groups_cover_the_contents_of_their_files(tmp_path: Path) -> None:
    run = grouped_run(tmp_path, methods=["random"])
    units = {unit.class_name: unit for unit in selection_units(run, "random", Listed.of(run))}
    assert len({unit.fingerprint for unit in units.values()}) == len(units)
    assert all(math.isfinite(unit.size) for unit in units.values())
    assert not np.any([is_done(run, unit) for unit in units.values()])
    select_subset(run)
    unit = units["c"]
    assert read_fingerprint(run.store, selection_file(unit.directory, "c")) == unit.fingerprint
    assert results(Path(run.store.root), ("subset-",)) != {}
