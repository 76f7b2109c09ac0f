"""The first view: stages, classes and the answer."""

import json
import time
from pathlib import Path

import pytest

from jobs.command.settings import load_config
from jobs.dashboard.overview import overview
from jobs.run_directory.config import RunConfig
from jobs.run_directory.last_command import LastCommand, write_last_command
from jobs.run_directory.listing import write_source_listing
from jobs.run_directory.marker import write_marker
from jobs.run_directory.run import Run
from jobs.run_directory.stage_log import log_stage
from otcondense.datasets import order_classes
from otcondense.durations import duration
from otcondense.store import (
    StageProgress,
    UnitProgress,
    progress_file,
    write_progress,
)
from tests.generators.page_runs import HOSTILE, METHODS, write_units
from tests.unit.dashboard.pages import client


def test_the_overview_has_the_state_of_every_class(changed: Run) -> None:
    now = time.time()
    states = [
        {"state": "done", "seconds": 2.0},
        {"state": "done", "seconds": 4.0},
        {"state": "running", "started": now - 5, "step": "swaps", "swaps": 7, "objective": 1.5},
        {"state": "running", "started": now - 50},
        {"state": "failed", "message": "features are missing", "attempts": 3},
        {"state": "queued"},
    ]
    units = [
        UnitProgress(name=f"u{n}", class_name=f"c{n}", method="random", **state)
        for n, state in enumerate(states)
    ]
    write_units(changed, units, finished=False)
    view = overview(changed)
    assert [each.state for each in view.classes] == [
        "done",
        "done",
        "running",
        "slow",
        "failed",
        "queued",
    ]
    assert view.counts == {"done": 2, "running": 1, "slow": 1, "failed": 1, "queued": 1}
    assert view.classes[2].measures.items() >= {"swaps": 7, "objective": 1.5}.items()
    assert [(each.name, each.message) for each in view.failures] == [("u4", "features are missing")]
    assert view.is_live
    stage = next(each for each in view.stages if each.stage == "select_subset")
    assert (stage.done, stage.total, stage.state) == (3, 6, "running")
    assert stage.eta_seconds == pytest.approx(60, abs=5)
    assert (stage.time, stage.left) == (duration(stage.seconds), duration(stage.eta_seconds))


def test_stages_that_have_not_started_are_waiting(run: Run) -> None:
    stages = overview(run).stages
    assert [(stage.title, stage.state) for stage in stages] == [
        ("extract resnet50", "waiting"),
        ("select", "finished"),
    ]
    assert (stages[0].time, stages[0].left) == ("", "")
    assert stages[1].time == "1 min 0 s"


def test_stages_are_in_the_order_of_the_stage_table(tmp_path: Path) -> None:
    overrides = [f"source.path={tmp_path}", f"held_out.path={tmp_path}", "random_draws=5"]
    config = load_config("jobs/configs/imagenet-10k.yaml", overrides, str(tmp_path / "run"))
    run = Run(config)
    began = {
        "of-a-newer-version": 1.0,
        "evaluate": 2.0,
        "extract_features-inception_v3.tv_in1k": 3.0,
    }
    for stage, started in began.items():
        progress = StageProgress(stage=stage, title=stage, unit="image", started=started)
        write_progress(run.store, progress)
    stages = overview(run).stages
    assert [stage.stage for stage in stages] == [
        "extract_features-inception_v3.tv_in1k",
        "select_subset",
        "extract_latents",
        "extract_tokens",
        "train-l2-geometry_aware",
        "sample",
        "extract_features-held_out",
        "evaluate-draws",
        "evaluate-images",
        "evaluate",
        "of-a-newer-version",
    ]
    waiting = [stage.title for stage in stages if stage.state == "waiting"]
    assert waiting == [
        "select",
        "latents",
        "tokens",
        "train l2 on geometry_aware",
        "sample",
        "extract held-out images",
        "compare with random draws",
        "encode for evaluation",
    ]


def test_without_logs_the_classes_are_read_from_their_selections(run: Run, changed: Run) -> None:
    changed.store.remove("logs")
    found = {(each.method, each.class_name): each for each in overview(changed).classes}
    expected = {(each.method, each.class_name): each for each in overview(run).classes}
    assert set(found) == set(expected)
    assert {each.state for each in found.values()} == {"skipped"}
    for key, each in found.items():
        assert (
            each.measures.items()
            >= {
                k: v for k, v in expected[key].measures.items() if k not in ("seconds", "size")
            }.items()
        )


def test_the_classes_are_named_while_the_features_are_extracted(changed: Run) -> None:
    for name in ("logs", "selection"):
        changed.store.remove(name)
    assert overview(changed).classes == ()  # the source is not listed for the page
    write_source_listing(changed)
    found = [(each.method, each.class_name, each.state) for each in overview(changed).classes]
    names = order_classes(["ant", "bee", HOSTILE])
    assert found == [(method, name, "queued") for method in METHODS for name in names]


def test_the_answer_comes_first_and_alone(run: Run, changed: Run) -> None:
    with client(run) as page:
        first = page.get("/").text
        alone = page.get("/answer").text
    assert first.index("answer-title") < first.index("stages-title") < first.index("classes-title")
    for text in (first, alone):
        assert run.manifest(METHODS[0]) in text
        assert "Not compared with random draws" in text
    changed.store.remove(changed.manifest(METHODS[0]))
    changed.store.remove(changed.manifest(METHODS[1]))
    with client(changed) as page:
        assert 'id="answer-section" hidden' in page.get("/").text
        assert page.get("/answer").text.strip() == ""


def test_an_answer_that_cannot_be_read_is_said(changed: Run) -> None:
    changed.store.write_bytes(changed.manifest(METHODS[0]), b"damaged")
    with client(changed) as page:
        assert "The answer cannot be read from here" in page.get("/").text


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff\n{}\n", b'{"step": "x", "loss": 1}\n'])
@pytest.mark.parametrize("kind", ["progress", "steps", "curve", "stages"])
def test_a_damaged_log_hides_nothing(changed: Run, kind: str, content: bytes) -> None:
    model = {
        "training": {"subsets": ["random"], "num_steps": 2, "checkpoint_steps": [1]},
        "sampling": {},
    }
    values = {**changed.config.model_dump(mode="json"), "models": {"sit": model}}
    changed = Run(RunConfig.model_validate(values))
    directory = changed.training_directory("sit", "random")
    name = {
        "progress": progress_file("select_subset"),
        "steps": f"logs/{directory}/steps.jsonl",
        "curve": f"{directory}/metrics.jsonl",
        "stages": "logs/stages.jsonl",
    }[kind]
    changed.store.write_bytes(name, content)
    with client(changed) as page:
        answers = [page.get(place).status_code for place in ("/", "/api/run", "/training")]
    assert answers == [200, 200, 200]


def test_the_state_of_the_run_is_json_of_the_documented_form(run: Run) -> None:
    with client(run) as page:
        schema = page.get("/openapi.json").json()
        state = json.loads(page.get("/api/run").text)
    assert schema["paths"]["/api/run"]["get"]["responses"]["200"]["content"]["application/json"][
        "schema"
    ]["$ref"].endswith("/Overview")
    assert set(state) <= set(schema["components"]["schemas"]["Overview"]["properties"])
    other = {path: set(found) for path, found in schema["paths"].items() if set(found) != {"get"}}
    assert other == {"/marks": {"post"}}


@pytest.mark.parametrize(
    ("finished", "silent", "state"),
    [
        ({}, 0.0, "waiting"),
        ({"extract_features-resnet50": False}, 5.0, "running"),
        ({"extract_features-resnet50": False}, 500.0, "silent"),
        ({"extract_features-resnet50": True}, 5.0, "running"),
        ({"extract_features-resnet50": True}, 500.0, "stopped"),
        ({"extract_features-resnet50": True, "select_subset": True}, 5.0, "finished"),
        ({"extract_features-resnet50": True, "select_subset": False}, 500.0, "silent"),
        ({"extract_features-resnet50": True, "train-of_before": True}, 500.0, "stopped"),
        (
            {
                "extract_features-resnet50": True,
                "select_subset": True,
                "train-of_before": False,
            },
            500.0,
            "finished",
        ),
    ],
)
def test_the_page_says_how_the_run_ended(
    changed: Run, finished: dict[str, bool], silent: float, state: str
) -> None:
    changed.store.remove("logs")
    now = time.time()
    for stage, is_finished in finished.items():
        late = 60.0 if stage.endswith("before") else 0.0
        times = {"started": now - 900, "updated": now - silent - late}
        progress = StageProgress(
            stage=stage, title=stage, unit="class", finished=is_finished, **times
        )
        write_progress(changed.store, progress)
    log_stage(changed, "select_subset", 75.0)
    found = overview(changed)
    assert (found.state, found.took) == (state, "1 min 15 s")


ALL_BUT_ONE = {"extract_features-resnet50": True}
EVERY_ONE = {**ALL_BUT_ONE, "select_subset": True}
HALF = {**ALL_BUT_ONE, "select_subset": False}


@pytest.mark.parametrize(
    ("command", "finished", "silent", "state", "row"),
    [
        ("working", {}, 5.0, "running", None),
        ("working", ALL_BUT_ONE, 5.0, "running", None),
        ("working", EVERY_ONE, 5.0, "running", None),
        ("working", EVERY_ONE, 500.0, "silent", None),
        ("working", HALF, 5.0, "running", "running"),
        ("working", HALF, 500.0, "silent", "no news for 8 min 20 s"),
        ("finished", ALL_BUT_ONE, 5.0, "stopped", None),
        ("finished", HALF, 5.0, "stopped", "not finished"),
        ("finished", EVERY_ONE, 5.0, "finished", None),
        ("interrupted", HALF, 5.0, "interrupted", "interrupted"),
        ("interrupted", ALL_BUT_ONE, 5.0, "interrupted", None),
        ("failed", HALF, 500.0, "failed", "failed"),
        ("failed", {}, 5.0, "failed", None),
    ],
)
def test_the_page_knows_how_the_command_ended(
    changed: Run,
    command: str,
    finished: dict[str, bool],
    silent: float,
    state: str,
    row: str | None,
) -> None:
    changed.store.remove("logs")
    now = time.time()
    for stage, is_finished in finished.items():
        times = {"started": now - 900, "updated": now - silent}
        progress = StageProgress(
            stage=stage, title=stage, unit="class", finished=is_finished, **times
        )
        write_progress(changed.store, progress)
    ended = now if command != "working" else 0.0
    started = now - max(silent, 4.0) if not finished else now - 901
    note = LastCommand(
        verb="run",
        state=command,
        started=started,
        ended=ended,
        sentence="why",
        dashboard="127.0.0.1:8265",
    )
    write_last_command(changed.store, note)
    found = overview(changed)
    assert (found.state, found.reason) == (state, "why")
    assert found.dashboard == ("http://127.0.0.1:8265" if state == "running" else "")
    assert found.place == ("select_subset" if row and command != "working" else "")
    assert row is None or found.stages[1].state == row


def test_an_open_page_shows_the_present_configuration(
    changed: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.dashboard.followed.CHECK_SECONDS", 0.0)
    with client(changed) as page:
        before = page.get("/api/run").json()
        assert changed.manifest("random") in page.get("/answer").text
        assert page.get("/class?method=geometry_aware&name=ant").status_code == 200
        selection = changed.config.selection.model_copy(update={"methods": ("random",)})
        present = Run(changed.config.model_copy(update={"selection": selection}))
        changed.store.remove(present.manifest("random"))
        write_marker(present)
        after = page.get("/api/run").json()
        assert (before["methods"], after["methods"]) == (list(METHODS), ["random"])
        assert before["configuration"] != after["configuration"]
        assert f'data-configuration="{after["configuration"]}"' in page.get("/").text
        assert page.get("/answer").text.strip() == ""
        assert page.get("/class?method=geometry_aware&name=ant").status_code == 404


def test_the_answer_is_read_again_when_a_stage_has_ended(
    changed: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.dashboard.routes.OVERVIEW_SECONDS", 0.0)
    with client(changed) as page:
        before = page.get("/api/run").json()["results"]
        assert changed.manifest("random") in page.get("/answer").text
        for method in METHODS:
            changed.store.remove(changed.manifest(method))
        log_stage(changed, "select_subset", 3.0)
        assert page.get("/api/run").json()["results"] != before
        assert page.get("/answer").text.strip() == ""


def test_classes_have_the_order_of_the_labels_whatever_that_of_the_work(changed: Run) -> None:
    names = ["solar", "Bag", "ant", "Übung"]
    units = [
        UnitProgress(name=f"{method}, {name}", class_name=name, method=method)
        for name in names
        for method in METHODS
    ]
    write_units(changed, units, finished=False)
    found = overview(changed).classes
    assert [each.class_name for each in found if each.method == "random"] == order_classes(names)
