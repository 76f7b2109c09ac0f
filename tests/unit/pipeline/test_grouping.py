"""The stage that groups images: outputs, coarse levels, restarts, and bad input."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from otcondense.errors import DamagedInputError, InputError, MissingInputError
from otcondense.grouping.config import GroupConfig
from otcondense.store import (
    ClassDifficulties,
    FeaturePart,
    FeatureView,
    Store,
    class_file,
    groups_file,
    read_class_difficulties,
    read_class_features,
    read_groups,
    write_class_difficulties,
    write_class_features,
)
from pipeline.group_crew import GroupCrew, Here
from pipeline.group_plan import GroupInputs, GroupPlan, plan_groups
from pipeline.grouping import GroupingResult, make_groups
from tests.generators.grouped import (
    CELL_ROWS,
    CONFIDENCES,
    FEATURES,
    MOST,
    SCORES,
    SIZES,
    images_of,
    plan_of,
    write_inputs,
)
from tests.runs import results, write_times


def made(plan: GroupPlan, crew: Callable[[GroupPlan], GroupCrew] = Here) -> GroupingResult:
    return make_groups(plan, lambda: crew(plan), lambda _done, _total: None)


def group_contents(root: Path, plan: GroupPlan) -> dict[str, bytes]:
    return results(root, (f"{plan.directory}/",))


def same(crew: GroupCrew) -> GroupCrew:
    return crew


class Shuffled(Here):
    """Runs the tasks in another order."""

    def map(self, task: Callable[..., Any], works: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
        yield from super().map(task, works[::-1])


class Killed(Here):
    """Ends in the middle of the tasks, as a killed process does."""

    def __init__(self, plan: GroupPlan, tasks: int) -> None:
        super().__init__(plan)
        self.left = tasks

    def map(self, task: Callable[..., Any], works: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
        for each in super().map(task, works):
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt
            yield each


@pytest.mark.parametrize(
    ("parts", "cell_rows", "labels", "resamplings"),
    [
        (1, 10**6, "keep", 0),
        (3, 10**6, "ignore", 0),
        (1, CELL_ROWS, "ignore", 1),
        (3, CELL_ROWS, "keep", 1),
        (3, CELL_ROWS, "ignore", 0),
    ],
)
def test_every_image_is_in_one_group_with_all_that_is_known_of_it(
    tmp_path: Path, parts: int, cell_rows: int, labels: str, resamplings: int
) -> None:
    store = Store(str(tmp_path))
    write_inputs(store, parts)
    plan = plan_of(tmp_path, cell_rows=cell_rows, labels=labels, resamplings=resamplings)
    assert not made(plan).is_earlier
    table = read_groups(store, plan.directory)
    whole = {name: images_of(name, size) for name, size in SIZES.items()}
    seen = []
    for index, name in enumerate(table.names):
        group = read_class_features(store, plan.directory, name)
        scores = read_class_difficulties(store, f"{plan.directory}/{SCORES}", name, group.image_ids)
        assert (group.class_name, group.class_index) == (name, index)
        assert MOST // 8 <= group.size == table.sizes[index] <= MOST
        assert table.distinct[index] == len(set(group.sha256))
        for row, image_id in enumerate(group.image_ids):
            of_class = whole[image_id.split("/")[0]]
            place = of_class.image_ids.index(image_id)
            assert table.class_names[index] in (of_class.class_name, "all")
            assert scores[row] == place
            for key, values in vars(group).items():
                if isinstance(values, (list, np.ndarray)):
                    assert np.array_equal(values[row], getattr(of_class, key)[place])
            seen.append(image_id)
    assert sorted(seen) == sorted(each for one in whole.values() for each in one.image_ids)
    assert not (tmp_path / plan.levels).exists()
    if labels == "keep":
        assert table.names[table.class_names.index("dog")] == "dog"
        assert list(dict.fromkeys(table.class_names)) == sorted(SIZES)


@pytest.mark.parametrize("labels", ["keep", "ignore"])
def test_the_order_of_the_tasks_changes_no_byte(tmp_path: Path, labels: str) -> None:
    found = []
    for crew in (Here, Shuffled):
        root = tmp_path / crew.__name__
        write_inputs(Store(str(root)), 3)
        plan = plan_of(root, labels=labels)
        made(plan, crew)
        found.append(group_contents(root, plan))
    assert found[0] == found[1]


def test_a_run_that_is_killed_again_and_again_gives_the_same_bytes(tmp_path: Path) -> None:
    write_inputs(Store(str(tmp_path / "whole")), 3)
    write_inputs(Store(str(tmp_path / "killed")), 3)
    plan = plan_of(tmp_path / "whole", labels="ignore")
    made(plan)
    expected = group_contents(tmp_path / "whole", plan)

    plan = plan_of(tmp_path / "killed", labels="ignore")
    kills = 0
    written: dict[Path, int] = {}
    while True:
        try:
            crew = Killed(plan, 7 * (kills + 1))
            result = make_groups(plan, partial(same, crew), lambda _done, _total: None)
        except KeyboardInterrupt:
            kills += 1
            files = list((tmp_path / "killed" / plan.directory).rglob("*.parquet"))
            now = write_times(files)
            assert all(now[file] == time for file, time in written.items())
            written = now
        else:
            break
    assert kills > 3
    assert not result.is_earlier
    assert group_contents(tmp_path / "killed", plan) == expected


def test_a_second_call_writes_nothing_and_starts_no_tasks(tmp_path: Path) -> None:
    write_inputs(Store(str(tmp_path)))
    first = made(plan_of(tmp_path))
    files = write_times((tmp_path / "groups").rglob("*"))
    plan = plan_of(tmp_path)
    again = make_groups(plan, lambda: pytest.fail("it works again"), lambda _done, _total: None)
    assert again.is_earlier
    assert again.table == first.table
    assert write_times((tmp_path / "groups").rglob("*")) == files


@pytest.mark.parametrize("kind", ["deleted", "damaged"])
@pytest.mark.parametrize("what", ["features", "scores", "table"])
def test_a_file_that_is_lost_is_made_again(tmp_path: Path, what: str, kind: str) -> None:
    write_inputs(Store(str(tmp_path)))
    plan = plan_of(tmp_path)
    result = made(plan)
    expected = group_contents(tmp_path, plan)
    name = result.table.names[3]
    places = {
        "features": class_file(plan.directory, name),
        "scores": class_file(f"{plan.directory}/{SCORES}", name),
        "table": groups_file(plan.directory),
    }
    lost = tmp_path / places[what]
    if kind == "deleted":
        lost.unlink()
    else:
        lost.write_bytes(lost.read_bytes()[:-40] + bytes(40))
    assert not made(plan_of(tmp_path)).is_earlier
    assert group_contents(tmp_path, plan) == expected


def test_only_the_classes_that_have_changed_are_grouped_again(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    write_inputs(store)
    plan = plan_of(tmp_path)
    made(plan)
    before = write_times((tmp_path / "groups").rglob("*.parquet"))
    changed = images_of("owl", SIZES["owl"])
    write_class_features(
        store, FEATURES, replace(changed, features=changed.features + 1), fingerprint="g"
    )
    assert not made(plan_of(tmp_path)).is_earlier
    after = write_times((tmp_path / "groups").rglob("*.parquet"))
    same = [file.parent.name for file in after if before.get(file) == after[file]]
    assert all(
        ("owl" in name) != (name in same)
        for name in {file.parent.name for file in after if "class_name" in file.parent.name}
    )


def test_groups_of_other_images_are_deleted(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    write_inputs(store)
    plan = plan_of(tmp_path)
    made(plan)
    fewer = images_of("cat", 40)
    for directory in (FEATURES, CONFIDENCES):
        write_class_features(store, directory, fewer, fingerprint="g")
    made(plan_of(tmp_path))
    table = read_groups(store, plan.directory)
    folders = {path.parent.name for path in (tmp_path / "groups").rglob("part-0.parquet")}
    assert folders == {f"class_name={name}" for name in table.names}
    assert sum(table.sizes) == 40 + SIZES["dog"] + SIZES["owl"]


@pytest.mark.parametrize("labels", ["keep", "ignore"])
def test_equal_rows_beyond_what_a_worker_holds_are_divided(tmp_path: Path, labels: str) -> None:
    store = Store(str(tmp_path))
    write_inputs(store)
    cats = images_of("cat", SIZES["cat"])
    equal = np.concatenate([np.ones((110, 6)), cats.features[110:]]).astype(np.float32)
    write_class_features(store, FEATURES, replace(cats, features=equal), fingerprint="g")
    result = made(plan_of(tmp_path, labels=labels))
    assert sum(result.table.sizes) == sum(SIZES.values())
    assert max(result.table.sizes) <= MOST
    assert 0 < result.table.cut <= SIZES["cat"]


@pytest.mark.parametrize("labels", ["keep", "ignore"])
@pytest.mark.parametrize("directory", [FEATURES, CONFIDENCES, SCORES])
def test_what_is_missing_is_named(tmp_path: Path, directory: str, labels: str) -> None:
    write_inputs(Store(str(tmp_path)))
    (tmp_path / class_file(directory, "owl")).unlink()
    with pytest.raises(MissingInputError, match="class_name=owl"):
        made(plan_of(tmp_path, labels=labels))


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:900])


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 3] ^= 0x10
    file.write_bytes(bytes(data))


def of_another_class(file: Path) -> None:
    cat = file.parents[1] / "class_name=cat" / file.name
    file.write_bytes(cat.read_bytes())


def of_another_encoder(file: Path) -> None:
    owls = images_of("owl", SIZES["owl"])
    wider = replace(owls, features=np.tile(owls.features, 2))
    write_class_features(Store(str(file.parents[3])), FEATURES, wider, fingerprint="g")


@pytest.mark.parametrize("labels", ["keep", "ignore"])
@pytest.mark.parametrize("spoil", [cut, flip, of_another_class, of_another_encoder])
def test_a_feature_file_that_cannot_be_used_is_named(
    tmp_path: Path, spoil: Callable[[Path], None], labels: str
) -> None:
    write_inputs(Store(str(tmp_path)))
    name = class_file(FEATURES, "owl")
    spoil(tmp_path / name)
    with pytest.raises(DamagedInputError, match="class_name=owl") as stop:
        made(plan_of(tmp_path, labels=labels))
    assert stop.value.file == name


@pytest.mark.parametrize("directory", [CONFIDENCES, SCORES])
def test_confidences_and_scores_of_other_images_are_refused(tmp_path: Path, directory: str) -> None:
    store = Store(str(tmp_path))
    write_inputs(store)
    fewer = images_of("owl", 40)
    if directory == CONFIDENCES:
        write_class_features(store, directory, fewer, fingerprint="g")
    else:
        scores = ClassDifficulties("owl", 0, fewer.image_ids, fewer.max_prob, {})
        write_class_difficulties(store, directory, scores, fingerprint="g")
    with pytest.raises(MissingInputError, match=r"must hold .*47 images .* found 40 "):
        made(plan_of(tmp_path))


def test_features_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    write_inputs(store)
    owls = images_of("owl", SIZES["owl"])
    owls.features[5, 1] = np.nan
    write_class_features(store, FEATURES, owls, fingerprint="g")
    with pytest.raises(InputError, match=r"infinite values for owl/0005\.png; correct"):
        made(plan_of(tmp_path))


def test_features_of_several_encoders_are_not_compared_across_classes(tmp_path: Path) -> None:
    write_inputs(Store(str(tmp_path)))
    view = FeatureView((FeaturePart(FEATURES), FeaturePart(CONFIDENCES)))
    inputs = GroupInputs(str(tmp_path), view, None, ())
    config = GroupConfig(most=MOST, labels="ignore")
    with pytest.raises(InputError, match="without labels, found 3 classes"):
        plan_groups(inputs, "groups/0a1b2c3d", list(SIZES), config, "key")
    kept = GroupConfig(most=MOST, labels="keep")
    assert made(plan_groups(inputs, "groups/0a1b2c3d", list(SIZES), kept, "key")).table.cut == 0


def test_progress_counts_every_image_once(tmp_path: Path) -> None:
    write_inputs(Store(str(tmp_path)))
    plan = plan_of(tmp_path)
    seen: list[int] = []
    make_groups(plan, lambda: Here(plan), lambda done, _total: seen.append(done))
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (0, sum(SIZES.values()))
