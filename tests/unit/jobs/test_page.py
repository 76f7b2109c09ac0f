"""The page of a run: its content, its access rules, and requests that must not reach a file."""

import asyncio
import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient

from jobs.command.settings import load_config
from jobs.dashboard.__main__ import main
from jobs.dashboard.access import Access, AccessMiddleware
from jobs.dashboard.app import create_app
from jobs.dashboard.atlas import shown_rows
from jobs.dashboard.class_view import class_view, read_selection
from jobs.dashboard.command import TOKEN_VARIABLE, access_for
from jobs.dashboard.overview import overview
from jobs.run_directory.config import RunConfig
from jobs.run_directory.listing import write_source_listing
from jobs.run_directory.opening import read_run
from jobs.run_directory.run import Run
from jobs.thumbnails.stored import write_thumbnails
from otcondense.datasets import order_classes
from otcondense.durations import duration
from otcondense.errors import InputError
from otcondense.store import (
    StageProgress,
    UnitProgress,
    progress_file,
    read_class_selection,
    selection_file,
    write_progress,
)
from tests.generators.object_store import s3_bucket
from tests.generators.page_runs import HOSTILE, IMAGES, METHODS, make_run, write_units

TOKEN = "a-token-of-the-test"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return make_run(tmp_path_factory.mktemp("page"), ("ant", "bee", HOSTILE))


@pytest.fixture
def changed(run: Run, tmp_path: Path) -> Run:
    """A copy of the run that a test may spoil."""
    shutil.copytree(run.store.root, tmp_path / "run")
    return Run(run.config.model_copy(update={"run": str(tmp_path / "run")}))


def client(run: Run, token: str | None = None, host: str = "127.0.0.1") -> TestClient:
    return TestClient(
        create_app(run, Access(token)), base_url=f"http://{host}", raise_server_exceptions=False
    )


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
    overrides = [f"source.path={tmp_path}", f"held_out.path={tmp_path}"]
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


def test_a_thumbnail_outlives_its_source(changed: Run, tmp_path: Path) -> None:
    pictures = write_thumbnails(changed, "random")
    source = Path(changed.config.source.path)
    away = tmp_path / "away"
    source.rename(away)
    try:
        selection = read_selection(changed, "random", "ant")
        chosen = int(selection.indices[0])
        place = {"method": "random", "name": "ant"}
        with client(changed) as page:
            answers = [
                page.get("/image", params={**place, "row": chosen, "side": side})
                for side in (96, 768)
            ]
            other = next(row for row in range(IMAGES) if row not in selection.indices)
            assert page.get("/image", params={**place, "row": other}).status_code == 404
    finally:
        away.rename(source)
    expected = pictures[selection.image_ids[chosen]]
    assert [answer.content for answer in answers] == [expected, expected]


def test_the_map_has_points_of_every_class(run: Run) -> None:
    with client(run) as page:
        assert page.get("/map").status_code == 200
        found = page.get("/api/map", params={"method": "geometry_aware"}).json()
    assert {each["name"] for each in found["classes"]} == {"ant", "bee", HOSTILE}
    for each in found["classes"]:
        selection = read_selection(run, "geometry_aware", each["name"])
        assert each["rows"][: each["num_chosen"]] == selection.indices.tolist()
        assert sorted(each["rows"]) == list(range(IMAGES))
        assert len(each["x"]) == len(each["y"]) == IMAGES
    assert 0 < sum(found["shares"]) <= 1


def test_a_map_without_features_says_so(changed: Run) -> None:
    changed.store.remove("features")
    with client(changed) as page:
        answer = page.get("/api/map", params={"method": "random"})
        assert (answer.status_code, "has features" in answer.text) == (404, True)
        assert page.get("/map", params={"method": "other"}).status_code == 200


@pytest.mark.parametrize(
    ("chosen", "size", "most", "expected_chosen", "expected"),
    [
        ([5, 1], 6, 10, [5, 1], 6),
        ([5, 1, 3, 0], 40, 4, [5, 1], 4),
        ([5], 40, 9, [5], 9),
        (list(range(30)), 32, 10, list(range(8)), 10),
        ([2, 0], 40, 1, [2], 1),
        ([], 3, 2, [], 2),
    ],
)
def test_the_map_shows_chosen_and_other_images_of_a_class(
    chosen: list[int], size: int, most: int, expected_chosen: list[int], expected: int
) -> None:
    rows = shown_rows(np.array(chosen, dtype=np.int64), size, most).tolist()
    assert len(rows) == len(set(rows)) == expected
    assert [row for row in rows if row in chosen] == expected_chosen
    assert rows[: len(expected_chosen)] == expected_chosen


def test_a_class_view_shows_the_selection(run: Run) -> None:
    view = class_view(run, "geometry_aware", "bee")
    selection = read_class_selection(run.store, run.selection_directory("geometry_aware"), "bee")
    assert [each.image.row for each in view.chosen] == selection.indices.tolist()
    assert sum(each.count for each in view.chosen) + view.num_left_out == IMAGES
    assert sum(each.share for each in view.chosen) == pytest.approx(
        selection.received_mass[selection.assignment >= 0].sum()
    )
    assert all(each.image not in each.represents for each in view.chosen)
    assert view.proof.startswith("Proven: no single swap lowers the objective")
    assert view.figures["objective"] == f"{selection.summary.objective:.4g}"
    assert view.figures["left out"].endswith(" %")
    assert view.neighbours == ("ant", None)


def test_a_class_is_shown_after_its_features_were_deleted(changed: Run) -> None:
    changed.store.remove("features")
    assert class_view(changed, METHODS[0], "ant", METHODS.index(METHODS[0])).map is None
    answer = client(changed).get("/class", params={"method": METHODS[0], "name": "ant"})
    assert answer.status_code == 200
    assert "The features have been deleted" in answer.text


def test_pages_and_pictures_are_served(run: Run) -> None:
    with client(run) as page:
        first = page.get("/")
        assert first.status_code == 200
        body = page.get("/api/run")
        assert len(body.json()["classes"]) == 3 * len(METHODS)
        assert (
            page.get("/api/run", headers={"If-None-Match": body.headers["ETag"]}).status_code == 304
        )
        shown = page.get(
            "/class", params={"method": "geometry_aware", "name": HOSTILE, "compare": "random"}
        )
        assert shown.status_code == 200
        assert shown.text.count('<ol class="chosen">') == 2
        assert "<script>window" not in shown.text
        assert "<img src=x" not in shown.text
        picture = page.get("/image", params={"method": "random", "name": HOSTILE, "row": 3})
        assert picture.headers["content-type"] == "image/png"
        for asset in (
            "/assets/plotly.js",
            "/assets/style.css",
            "/assets/draw_plots.js",
            "/static/overview.js",
            "/static/enlarge.js",
            "/static/map.js",
            "/static/training.js",
            "/static/page.css",
        ):
            assert page.get(asset).status_code == 200
        assert page.get("/training").status_code == 200


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/image?method=random&name=ant&row=40", 404),
        ("/image?method=random&name=ant&row=-1", 422),
        ("/image?method=random&name=ant&row=0&side=100000", 422),
        ("/image?method=random&name=../../images/ant&row=0", 404),
        ("/image?method=../../../etc&name=passwd&row=0", 404),
        ("/class?method=random&name=..", 404),
        ("/class?method=random&name=%00", 404),
        ("/class?method=random&name=nowhere", 404),
        ("/class?method=herding&name=ant", 404),
        ("/class?method=random&name=ant&compare=x", 404),
        ("/map?method=" + 300 * "x", 422),
        ("/api/map?method=herding", 404),
        ("/api/map", 422),
        ("/samples?model=m&method=random&step=3", 404),
        ("/static/../app.py", 404),
        ("/static/%2e%2e/app.py", 404),
        ("/assets/..%2f..%2fconfig.yaml", 404),
        ("/report", 404),
        ("/docs", 404),
        ("/config.yaml", 404),
    ],
)
def test_invalid_requests_are_refused_without_a_traceback(
    run: Run, address: str, status: int
) -> None:
    with client(run) as page:
        answer = page.get(address)
    assert answer.status_code == status
    assert "Traceback" not in answer.text


def test_a_link_out_of_the_source_is_not_followed(changed: Run, tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(
        (Path(changed.config.source.path) / "ant" / "00.png").read_bytes()
    )
    images = tmp_path / "images"
    shutil.copytree(changed.config.source.path, images)
    (images / "ant" / "00.png").unlink()
    (images / "ant" / "00.png").symlink_to(tmp_path / "secret.png")
    source = changed.config.source.model_copy(update={"path": str(images)})
    elsewhere = Run(changed.config.model_copy(update={"source": source}))
    for directory in ("features", "selection"):
        assert changed.store.list(directory)
    moved = {method: elsewhere.selection_directory(method) for method in METHODS}
    for method, name in moved.items():
        shutil.copytree(
            changed.store.path(changed.selection_directory(method)),
            elsewhere.store.path(name),
            dirs_exist_ok=True,
        )
    with client(elsewhere) as page:
        answer = page.get("/image", params={"method": "random", "name": "ant", "row": 0})
        assert answer.status_code == 404
        assert "leads out of" in answer.text
        assert (
            page.get("/image", params={"method": "random", "name": "ant", "row": 1}).status_code
            == 200
        )


def test_damaged_files_are_named(changed: Run) -> None:
    name = selection_file(changed.selection_directory("random"), "ant")
    changed.store.write_bytes(name, changed.store.read_bytes(name)[:-30])
    with client(changed) as page:
        answer = page.get("/class", params={"method": "random", "name": "ant"})
    assert answer.status_code == 404
    assert "selection.parquet" in answer.text


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


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_the_page_is_read_only(run: Run, method: str) -> None:
    with client(run) as page:
        assert page.request(method, "/api/run").status_code == 405


def test_without_a_token_only_loopback_names_are_answered(run: Run) -> None:
    for host, status in (
        ("localhost", 200),
        ("127.0.0.1:8266", 200),
        ("[::1]:8266", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
    ):
        with client(run) as page:
            assert page.get("/api/run", headers={"Host": host}).status_code == status, host


def test_a_token_is_required_and_removed_from_the_address(run: Run) -> None:
    with client(run, TOKEN, "cluster.example") as page:
        for address in (
            "/",
            "/api/run",
            "/image?method=random&name=ant&row=0",
            "/static/page.css",
            "/openapi.json",
            f"/?token={TOKEN}x",
        ):
            answer = page.get(address)
            assert answer.status_code == 401, address
            assert "ant" not in answer.text
        assert page.get("/api/run", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
        moved = page.get(f"/class?method=random&name=ant&token={TOKEN}", follow_redirects=False)
        assert (moved.status_code, moved.headers["location"]) == (
            303,
            "/class?method=random&name=ant",
        )
        assert {"HttpOnly", "SameSite=strict"} <= set(moved.headers["set-cookie"].split("; "))
        assert page.get("/api/run").status_code == 200


def test_every_answer_has_the_headers_that_isolate_the_page(run: Run) -> None:
    with client(run) as page:
        for address in ("/", "/api/run", "/nothing", "/assets/plotly.js"):
            headers = page.get(address).headers
            assert "script-src 'self';" in headers["Content-Security-Policy"]
            assert headers["X-Content-Type-Options"] == "nosniff"
        for address in ("/report", "/report/"):
            policy = page.get(address).headers["Content-Security-Policy"]
            assert "default-src 'none';" in policy
            assert "connect-src 'none';" in policy
            assert "sandbox allow-scripts" in policy
            assert "allow-same-origin" not in policy


@pytest.mark.parametrize(
    "path",
    ["//evil.example", "///evil.example/x", "/\\evil.example", "/\\/evil.example", "/\t/evil", "/"],
)
def test_a_token_never_leads_to_another_host(path: str, run: Run) -> None:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "query_string": f"token={TOKEN}&a=b".encode(),
        "headers": [(b"host", b"cluster.example")],
    }
    asyncio.run(
        AccessMiddleware(create_app(run, Access(TOKEN)), Access(TOKEN))(scope, receive, send)
    )
    target = dict(sent[0]["headers"])[b"location"].decode()
    assert sent[0]["status"] == 303
    assert target.startswith("/")
    assert target.endswith("?a=b")
    assert target[1] not in "/\\\t"
    assert urljoin("http://cluster.example/", target).startswith("http://cluster.example/")


def test_addresses_other_than_loopback_get_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    assert (
        access_for("127.0.0.1").token
        is access_for("localhost").token
        is access_for("::1").token
        is None
    )
    made = {
        access_for("0.0.0.0").token,
        access_for("10.0.0.7").token,
        access_for("head.example").token,
    }
    assert len(made) == 3
    assert all(token is not None and len(token) >= 32 for token in made)
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)
    assert access_for("127.0.0.1").token == access_for("0.0.0.0").token == TOKEN
    monkeypatch.setenv(TOKEN_VARIABLE, "short")
    with pytest.raises(InputError, match="at least 16 characters"):
        access_for("0.0.0.0")


def test_the_verb_refuses_a_directory_without_a_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([str(tmp_path)])
    assert ended.value.code == 2
    assert "found no run there" in capsys.readouterr().err


def test_the_state_of_the_run_is_json_of_the_documented_form(run: Run) -> None:
    with client(run) as page:
        schema = page.get("/openapi.json").json()
        state = json.loads(page.get("/api/run").text)
    assert schema["paths"]["/api/run"]["get"]["responses"]["200"]["content"]["application/json"][
        "schema"
    ]["$ref"].endswith("/Overview")
    assert set(state) <= set(schema["components"]["schemas"]["Overview"]["properties"])
    assert all(set(schema_path) == {"get"} for schema_path in schema["paths"].values())


def test_a_run_on_an_object_store_is_shown(tmp_path: Path) -> None:
    with s3_bucket():
        remote = make_run(tmp_path, ("ant", "bee"), run="s3://bucket/run")
        with client(read_run("s3://bucket/run")) as page:
            assert len(page.get("/api/run").json()["classes"]) == 2 * len(METHODS)
            shown = page.get("/class", params={"method": "geometry_aware", "name": "bee"})
            assert shown.status_code == 200
            assert shown.text.count("represents") >= len(
                class_view(remote, "geometry_aware", "bee").chosen
            )


def test_the_verb_serves_on_loopback_and_ends_with_ctrl_c(run: Run) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        "env",
        "--default-signal=INT",
        sys.executable,
        "-m",
        "jobs.dashboard",
        run.store.root,
        f"--port={port}",
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        address = process.stdout.readline().strip()
        assert address == f"http://127.0.0.1:{port}"
        deadline, answer = time.monotonic() + 60, None
        while answer is None and time.monotonic() < deadline:
            try:
                answer = httpx.get(f"{address}/api/run", timeout=5)
            except httpx.TransportError:
                time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=60)
    assert answer.status_code == 200
    assert len(answer.json()["classes"]) == 3 * len(METHODS)
    assert "Traceback" not in rest
