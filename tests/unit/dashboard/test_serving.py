"""The addresses of the page, and the verb that serves them."""

import html
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from jobs.dashboard.__main__ import main
from jobs.dashboard.class_view import class_view
from jobs.run_directory.opening import read_run
from jobs.run_directory.run import Run
from tests.generators.object_store import s3_bucket
from tests.generators.page_runs import BUDGET, HOSTILE, METHODS, make_run
from tests.unit.dashboard.pages import client


def test_pages_and_pictures_are_served(run: Run) -> None:
    with client(run) as page:
        first = page.get("/")
        assert first.status_code == 200
        pictures = [html.unescape(each) for each in re.findall(r'src="(/image[^"]+)"', first.text)]
        assert len(pictures) == 3 * BUDGET
        assert all(page.get(each).status_code == 200 for each in pictures)
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


def test_the_verb_refuses_a_directory_without_a_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([str(tmp_path)])
    assert ended.value.code == 2
    assert "found an empty folder" in capsys.readouterr().err


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
