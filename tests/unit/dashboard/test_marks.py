"""Marked images become one file of the run; only the page itself writes it, and nothing else."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from jobs.command.choice import chosen_config
from jobs.command.verbs import VERBS
from jobs.dashboard import marks as marks_module
from jobs.dashboard.access import MARKS_HEADER, MOST_BYTES
from jobs.dashboard.command import access_for
from jobs.run_directory.budgets import forced_ids
from jobs.run_directory.marker import write_marker
from jobs.run_directory.run import Run
from jobs.verify.files import read_facts
from otcondense.datasets import scan_images
from tests.generators.page_runs import HOSTILE
from tests.unit.dashboard.pages import client

OWN = {"Origin": "http://127.0.0.1", MARKS_HEADER: "1", "Sec-Fetch-Site": "same-origin"}
ANT = {"include": ["ant/00.png"], "exclude": ["ant/01.png", "bee/02.png"]}
SHORT = json.dumps({"include": ["ant/00.png"]})


def files_of(run: Run) -> set[str]:
    return set(run.store.list())


def test_marks_are_written_once_and_select_again(changed: Run) -> None:
    before = files_of(changed)
    with client(changed, writes=True) as page:
        answers = [page.post("/marks", json=ANT, headers=OWN) for _ in range(2)]
        assert page.get("/api/marks").json()["writes"]
    assert answers[0].json() == answers[1].json()
    (name,) = files_of(changed) - before
    assert answers[0].json()["file"] == changed.store.path(name)
    assert changed.store.read_json(name) == ANT
    assert read_facts(changed.store)[1] == []

    program, verb, *words = shlex.split(answers[0].json()["command"])
    assert program == "otcondense"
    again = Run(chosen_config(VERBS[verb], None, None, words))
    assert forced_ids(again) == (ANT["include"], ANT["exclude"])
    write_marker(again)
    with client(again, writes=True) as page:
        view = page.get("/api/marks").json()
        assert view["marks"] == ANT, "the page begins with the marks of the configuration"
        emptied = page.post("/marks", json={"exclude": ANT["exclude"]}, headers=OWN).json()
        nothing = page.post("/marks", json={}, headers=OWN).json()
    assert "'selection.include=[]'" in emptied["command"]
    assert nothing["file"] == ""
    assert nothing["command"].endswith("'selection.include=[]' 'selection.exclude=[]'")


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": None}, 403),
        ({MARKS_HEADER: None}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Host": "evil.example", "Origin": "http://evil.example"}, 421),
        ({"Content-Length": str(MOST_BYTES + 1)}, 413),
        ({"Content-Length": "9" * 5000}, 413),
        ({"Content-Length": "-1"}, 411),
        ({"Content-Type": "text/plain"}, 415),
    ],
)
def test_only_the_page_itself_writes(
    changed: Run, changes: dict[str, str | None], status: int
) -> None:
    before = files_of(changed)
    headers = {**OWN, "Content-Type": "application/json", **changes}
    sent = {name: value for name, value in headers.items() if value is not None}
    with client(changed, writes=True) as page:
        assert page.post("/marks", content=SHORT, headers=sent).status_code == status
    assert files_of(changed) == before


def test_a_request_without_a_length_is_refused(changed: Run) -> None:
    headers = {**OWN, "Content-Type": "application/json"}
    with client(changed, writes=True) as page:
        answer = page.post("/marks", content=iter([SHORT.encode()]), headers=headers)
    assert answer.status_code == 411


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({"include": ["ant/99.png"]}, 400, "must name images of the run, found ant/99.png"),
        ({"include": ["00.png"]}, 400, "must name images of the run, found 00.png"),
        ({"include": ["../../x"]}, 400, "must name images of the run"),
        ({"include": ["ant/00.png"], "exclude": ["ant/00.png"]}, 400, "found ant/00.png in both"),
        ({"include": ["a" * 1001]}, 400, "at most 1000 characters"),
        ({"include": ["\ud800"]}, 422, ""),
        ({"include": "ant/00.png"}, 422, "include: Input should be a valid"),
        ({"start": ["ant/00.png"]}, 422, "start: Extra inputs"),
        ({"include": ["x"] * 20_001}, 422, "at most 20000 items"),
        ([], 422, ""),
    ],
)
def test_wrong_marks_write_nothing(changed: Run, body: Any, status: int, message: str) -> None:
    before = files_of(changed)
    with client(changed, writes=True) as page:
        headers = {**OWN, "Content-Type": "application/json"}
        answer = page.post("/marks", content=json.dumps(body), headers=headers)
    assert answer.status_code == status, answer.text
    assert message in answer.text
    assert files_of(changed) == before


@pytest.mark.parametrize("folder", ["link", "file", "full"])
def test_a_folder_of_marks_that_is_none_or_full_is_refused(
    changed: Run, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, other = Path(changed.store.path("marks")), tmp_path / "other"
    other.mkdir()
    if folder == "link":
        place.symlink_to(other)
    elif folder == "file":
        place.write_text("x")
    else:
        place.mkdir()
        (place / "old.json").write_text("{}")
        monkeypatch.setattr(marks_module, "MOST_FILES", 1)
    with client(changed, writes=True) as page:
        answer = page.post("/marks", json=ANT, headers=OWN)
    assert answer.status_code == 400
    assert "marks must" in answer.text
    assert list(other.iterdir()) == []


def test_a_page_that_only_reads_answers_no_post_and_says_so(changed: Run) -> None:
    with client(changed) as page:
        assert page.post("/marks", json=ANT, headers=OWN).status_code == 405
        assert page.get("/api/marks").json()["writes"] is False


def test_marks_are_written_on_loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTCONDENSE_PAGE_TOKEN", raising=False)
    assert access_for("127.0.0.1").writes
    assert not access_for("127.0.0.1", read_only=True).writes
    assert not access_for("0.0.0.0").writes
    monkeypatch.setenv("OTCONDENSE_PAGE_TOKEN", "a-token-of-the-test")
    assert access_for("localhost").writes
    assert not access_for("localhost", read_only=True).writes
    assert not access_for("10.0.0.7").writes


def test_with_a_token_a_write_needs_it(changed: Run) -> None:
    token = "a-token-of-the-test"
    with client(changed, token, writes=True) as page:
        assert page.post("/marks", json=ANT, headers=OWN).status_code == 401
        headers = {**OWN, "Authorization": f"Bearer {token}"}
        assert page.post("/marks", json=ANT, headers=headers).status_code == 200


def test_names_from_outside_stay_text(changed: Run) -> None:
    (hostile, *_) = scan_images(changed.config.source).ids_of(HOSTILE)
    with client(changed, writes=True) as page:
        written = page.post("/marks", json={"exclude": [hostile]}, headers=OWN)
        shown = page.get("/class", params={"method": "random", "name": HOSTILE}).text
    assert written.status_code == 200
    assert written.headers["Content-Type"] == "application/json"
    assert "<script>window" not in shown
    assert "<img src=x" not in shown
