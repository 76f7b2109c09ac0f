"""Nested and extended subsets, forced images from files, and held-out images, in run directories.

Classes are selected by the code of the workers, in this process.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from actors.selection_unit import select_unit
from jobs.command.settings import load_config
from jobs.report.data import collect
from jobs.run_directory.budgets import check_budgets
from jobs.run_directory.run import Run
from jobs.select_subset.held_out import write_held_out_hashes
from jobs.select_subset.stage import _write_manifest, progress_of_unit
from jobs.status.command import print_status
from jobs.trials.config import SweepConfig
from jobs.trials.trial import Sweep
from jobs.work_units.listed import Listed
from jobs.work_units.selection import selection_units
from otcondense.datasets import list_images
from otcondense.errors import InputError
from otcondense.report import render_report
from otcondense.selection import SELECTORS
from otcondense.store import (
    ClassFeatures,
    StageProgress,
    read_class_difficulties,
    read_class_features,
    read_class_selection,
    read_manifest,
    sha256_bytes,
    write_class_difficulties,
    write_class_features,
    write_class_selection,
)
from otcondense.store.difficulties import ClassDifficulties

SIZES = {"a": 30, "b": 18}


def write_images(root: Path, seed: int = 0, sizes: dict[str, int] | None = None) -> None:
    generator = np.random.default_rng(seed)
    for name, size in (sizes or SIZES).items():
        (root / name).mkdir(parents=True)
        for number in range(size):
            pixels = generator.integers(0, 256, (8, 8), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number:02}.png")


def run_of(root: Path, **selection: Any) -> Run:
    if not (root / "images").exists():
        write_images(root / "images")
        write_images(root / "others", seed=1)
    values = {
        "run": str(root / "run"),
        "source": {"path": str(root / "images")},
        "held_out": {"path": str(root / "others")},
        "encoder": {"name": "resnet18"},
        "confidence": {"kind": "none"},
        "scores": {"denoising": {"checkpoint": "scorer"}},
        "selection": {"budget": 4, **selection},
    }
    (root / "c.yaml").write_text(yaml.safe_dump(values))
    return Run(load_config(str(root / "c.yaml"), []))


def fill(run: Run) -> None:
    """Write features and difficulties of every image."""
    generator = np.random.default_rng(7)
    for index, name in enumerate(SIZES):
        records = [each for each in list_images(run.config.source) if each.class_name == name]
        ones = np.ones(len(records), dtype=np.int32)
        features = ClassFeatures(
            class_name=name,
            class_index=index,
            image_ids=[record.image_id for record in records],
            features=generator.normal(size=(len(records), 16)).astype(np.float32),
            logits=None,
            cross_entropy=None,
            entropy=None,
            max_prob=None,
            width=ones,
            height=ones,
            sha256=[sha256_bytes(Path(record.path).read_bytes()) for record in records],
        )
        directory = run.features_directory(run.config.encoder)
        write_class_features(run.store, directory, features, fingerprint="f")
        scores = ClassDifficulties(
            name, index, features.image_ids, generator.random(len(records)).astype(np.float32), {}
        )
        for kind in run.config.selection.score_kinds():
            write_class_difficulties(run.store, run.scores_directory(kind), scores, fingerprint="f")


def select(run: Run, subsets: tuple[str, ...] | None = None) -> dict[str, dict[str, list[str]]]:
    """Select in this process; return the chosen ids of each class of each subset."""
    fill(run)
    write_held_out_hashes(run)
    listed = Listed.of(run)
    directory = run.features_directory(run.config.encoder)
    chosen: dict[str, dict[str, list[str]]] = {}
    for subset in subsets or run.config.selection.subsets:
        for unit in selection_units(run, subset, listed):
            features = read_class_features(run.store, directory, unit.class_name)
            scores = None
            if unit.difficulty_directory is not None:
                scores = read_class_difficulties(
                    run.store, unit.difficulty_directory, unit.class_name, features.image_ids
                )
            found = select_unit(run.store, unit, features, scores)
            write_class_selection(run.store, unit.directory, found, fingerprint=unit.fingerprint)
            ids = [found.image_ids[row] for row in found.indices]
            chosen.setdefault(subset, {})[unit.class_name] = ids
        _write_manifest(run, subset, list(SIZES))
    return chosen


@pytest.mark.parametrize("method", SELECTORS)
def test_nested_subsets_are_those_of_fit_path(method: str, tmp_path: Path) -> None:
    run = run_of(tmp_path, methods=[method], budgets=[2, 5, 9], duplicates="keep")
    chosen = select(run)
    assert list(chosen) == [f"{method}-2", f"{method}-5", f"{method}-9"]
    for smaller, larger in ((2, 5), (5, 9)):
        for name in SIZES:
            before, after = chosen[f"{method}-{smaller}"][name], chosen[f"{method}-{larger}"][name]
            assert (len(before), len(after)) == (smaller, larger)
            assert after[:smaller] == before
    assert len({run.manifest(subset) for subset in chosen}) == 3
    rows = read_manifest(run.store, run.manifest(f"{method}-5")).to_pylist()
    assert [row["image_id"] for row in rows] == [
        image_id for name in SIZES for image_id in chosen[f"{method}-5"][name]
    ]


@pytest.mark.parametrize("first", [(), ("herding-2",), ("herding-2", "herding-5")])
def test_a_nested_subset_is_the_same_whatever_is_finished(
    first: tuple[str, ...], tmp_path: Path
) -> None:
    run = run_of(tmp_path, methods=["herding"], budgets=[2, 5, 9])
    if first:
        select(run, first)
    chosen = select(run, ("herding-9",))["herding-9"]
    features = read_class_features(
        run.store, run.features_directory(run.config.encoder), "a"
    ).features
    path = SELECTORS["herding"](seed=0).fit_path(features, [2, 5, 9])
    expected = [f"a/{row:02}.png" for row in path[9].indices_]
    assert chosen["a"] == expected


@pytest.mark.parametrize(
    ("form", "method"),
    [("list", "geometry_aware"), ("lines", "herding"), ("json", "herding"), ("manifest", "dq")],
)
def test_a_subset_is_extended(form: str, method: str, tmp_path: Path) -> None:
    small = run_of(tmp_path, methods=[method], budget=3)
    chosen = select(small)[method]
    ids = [*chosen["a"], *chosen["b"]]
    start = tmp_path / f"start{'.parquet' if form == 'manifest' else '.txt'}"
    if form == "manifest":
        start.write_bytes(small.store.read_bytes(small.manifest(method)))
    else:
        start.write_text(json.dumps(ids) if form == "json" else "\r\n".join([*ids, ""]))

    given: dict[str, Any] = {"include": ids} if form == "list" else {"start": str(start)}
    large = run_of(tmp_path, methods=[method, "random"], budget=6, **given)
    for subset, classes in select(large).items():
        for name in SIZES:
            assert classes[name][:3] == chosen[name], subset
            assert len(classes[name]) == 6


@pytest.mark.parametrize("method", SELECTORS)
def test_forced_images_come_from_files_for_every_method(method: str, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("b/03.png\na/07.png\na/01.png\n")
    (tmp_path / "out.json").write_text(json.dumps([f"b/{row:02}.png" for row in range(4, 16)]))
    run = run_of(
        tmp_path,
        methods=[method],
        include=str(tmp_path / "in.txt"),
        exclude=str(tmp_path / "out.json"),
    )
    assert check_budgets(run) == []
    chosen = select(run)[method]
    assert chosen["a"][:2] == ["a/07.png", "a/01.png"]
    assert chosen["b"][0] == "b/03.png"
    assert set(chosen["b"]) <= {f"b/{row:02}.png" for row in (0, 1, 2, 3, 16, 17)}


def test_the_content_of_a_list_counts_not_its_place(tmp_path: Path) -> None:
    for name in ("one.txt", "two.txt"):
        (tmp_path / name).write_text("a/07.png\n")
    runs = [
        run_of(tmp_path, include=value)
        for value in (["a/07.png"], str(tmp_path / "one.txt"), str(tmp_path / "two.txt"))
    ]
    assert len({run.manifest("random") for run in runs}) == 1
    (tmp_path / "two.txt").write_text("a/08.png\n")
    assert runs[2].manifest("random") != runs[1].manifest("random")


@pytest.mark.parametrize(
    ("selection", "files", "message"),
    [
        ({"include": ["a/99.png"]}, {}, "must name images of .*, found a/99.png"),
        ({"include": "x.txt"}, {}, "found nothing at .*x.txt"),
        ({"include": "x.txt"}, {"x.txt": ""}, "at least one image, found none in"),
        ({"exclude": "x.txt"}, {"x.txt": "[1]"}, "image ids as texts, or of objects, found 1"),
        ({"start": "x.parquet"}, {"x.parquet": "nothing"}, "not a readable Parquet file"),
        ({"start": "x.txt", "exclude": ["a/01.png"]}, {"x.txt": "a/01.png"}, "found a/01.png"),
        ({"include": [f"a/0{row}.png" for row in range(5)]}, {}, "at most its budget of 4 images"),
        ({"budget": {"total": 1}}, {}, "from 2 .*one image a class.* found 1"),
        ({"budgets": [2, 31]}, {}, "selection.budget is 31, but class a has 30 images"),
    ],
)
def test_lists_and_budgets_that_do_not_fit_are_refused_before_anything_is_computed(
    selection: dict[str, Any], files: dict[str, str], message: str, tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    for key, value in selection.items():
        if isinstance(value, str):
            selection[key] = str(tmp_path / value)
    with pytest.raises(InputError, match=message):
        check_budgets(run_of(tmp_path, **selection))


@pytest.mark.parametrize(
    ("budget", "numbers", "sentence"),
    [
        ("10%", {"a": 3, "b": 2}, "budget of 10 % of each class: 2 to 3 images a class, 5 in all"),
        (
            {"total": 12, "allocation": "proportional"},
            {"a": 8, "b": 4},
            "budget of 12 in all, proportional: 4 to 8 images a class, 12 in all",
        ),
    ],
)
def test_shares_and_totals_are_resolved_and_said(
    budget: Any, numbers: dict[str, int], sentence: str, tmp_path: Path
) -> None:
    run = run_of(tmp_path, methods=["random"], budget=budget)
    assert check_budgets(run) == [sentence]
    chosen = select(run)["random"]
    assert {name: len(ids) for name, ids in chosen.items()} == numbers


def test_images_of_the_held_out_set_are_not_chosen(tmp_path: Path) -> None:
    run = run_of(tmp_path, methods=["random"], budget=30, small_class="take_all")
    for number in (3, 4):
        data = (tmp_path / "images" / "b" / f"{number:02}.png").read_bytes()
        (tmp_path / "others" / "a" / f"x{number}.png").write_bytes(data)
    chosen = select(run)["random"]
    assert set(chosen["b"]) == {f"b/{row:02}.png" for row in range(18) if row not in (3, 4)}
    directory = run.selection_directory("random")
    assert read_class_selection(run.store, directory, "b").summary.copies.held_out == 2

    kept = run_of(tmp_path, methods=["random"], budget=18, held_out_copies="keep")
    assert kept.held_out_hashes() is None
    assert len(select(kept)["random"]["b"]) == 18
    refused = run_of(tmp_path, methods=["random"], held_out_copies="refuse")
    with pytest.raises(InputError, match=r"2 of 18 .* in both, the first b/03\.png"):
        select(refused)


def test_hashes_of_held_out_images_are_read_once_and_again_when_they_change(
    tmp_path: Path,
) -> None:
    run = run_of(tmp_path)
    name = str(run.held_out_hashes())
    write_held_out_hashes(run)
    before = run.store.read_bytes(name)
    write_held_out_hashes(run)
    assert run.store.read_bytes(name) == before
    (tmp_path / "others" / "a" / "00.png").write_bytes(b"another")
    write_held_out_hashes(run)
    assert run.store.read_bytes(name) != before


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("duplicates", "drop"),
        ("near_copies", 0.1),
        ("held_out_copies", "keep"),
        ("budgets", [2, 4]),
        ("exclude", ["a/00.png"]),
        ("budget", "10%"),
    ],
)
def test_every_setting_gives_results_of_their_own(setting: str, value: Any, tmp_path: Path) -> None:
    before, after = run_of(tmp_path), run_of(tmp_path, **{setting: value})
    subset = after.config.selection.subsets[-1]
    assert after.manifest(subset) not in {
        before.manifest("random"),
        before.manifest("geometry_aware"),
    }


def test_the_threshold_does_not_matter_if_copies_are_kept(tmp_path: Path) -> None:
    runs = [run_of(tmp_path, duplicates="keep", near_copies=share) for share in (0.1, 0.2)]
    assert len({run.manifest("random") for run in runs}) == 1


def test_the_authors_code_sees_the_class_as_it_is(tmp_path: Path) -> None:
    settings = {"geometry_aware": {"reference": "authors", "preset": "resnet50"}}
    run = run_of(tmp_path, settings=settings)
    assert run.config.selection.duplicates_of("geometry_aware") == "keep"
    assert run.config.selection.duplicates_of("random") == "merge"


def test_a_longer_list_of_budgets_starts_from_the_subsets_of_the_shorter_one(
    tmp_path: Path,
) -> None:
    short = run_of(tmp_path, methods=["random"], budgets=[2, 5])
    long = run_of(tmp_path, methods=["random"], budgets=[2, 5, 9])
    for subset in short.config.selection.subsets:
        assert short.manifest(subset) == long.manifest(subset)


def test_the_report_shows_copies_and_budgets(tmp_path: Path) -> None:
    run = run_of(tmp_path, methods=["random", "herding"], budgets=["5%", "20%"])
    data = (tmp_path / "images" / "a" / "04.png").read_bytes()
    for name in ("a/copy.png", "b/copy.png"):
        (tmp_path / "images" / name).write_bytes(data)
    (tmp_path / "others" / "b" / "x.png").write_bytes(
        (tmp_path / "images" / "b" / "02.png").read_bytes()
    )
    select(run)
    shown = collect(run)
    assert shown.facts["budget"] == "5 % of each class; 20 % of each class"
    assert shown.facts["copies"] == "1 exact, 0 near; merged into one candidate each"
    assert shown.facts["also held out"] == "1, left out"
    assert [(row.class_name, row.exact, row.held_out) for row in shown.copies] == [
        ("a", 1, 0),
        ("b", 0, 1),
    ]
    assert "a/04.png and 1 more, such as a/copy.png" in render_report(shown)


def test_the_status_shows_what_budgets_come_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = run_of(tmp_path, methods=["random"], budgets=["5%", "20%"])
    fill(run)
    write_held_out_hashes(run)
    listed = Listed.of(run)
    units = []
    for subset in run.config.selection.subsets:
        for unit in selection_units(run, subset, listed):
            units.append(progress_of_unit(run, unit, is_open=True))
    print_status([StageProgress(stage="select_subset", title="", unit="", units=tuple(units))], 0)
    shown = capsys.readouterr().out
    assert "budget: random-5pct: 1 to 2 images a class, 3 in all\n" in shown
    assert "budget: random-20pct: 4 to 6 images a class, 10 in all\n" in shown


def test_trials_have_one_budget_each(tmp_path: Path) -> None:
    run = run_of(tmp_path, budgets=[2, 5])
    sweep = SweepConfig(space={"kappa": [1.0, 1.1]})
    with pytest.raises(InputError, match=r"found selection\.budgets \[2, 5\]"):
        Sweep(sweep, run.config)
