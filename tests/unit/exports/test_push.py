"""Uploads to a hub on loopback by the real client: what lies there, and what ends in a sentence."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import constants

from tests.generators.hub_uploads import GIT_FILE, READER, WRITER, hub_account, metadata
from tests.generators.page_runs import make_run, with_own_digests
from tests.verbs import call, output_of

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=")  # of the client's own
NAME = "org/subset"
LICENCE = ("--license", "cc-by-4.0")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return with_own_digests(make_run(tmp_path_factory.mktemp("run")))


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """The address of a hub and what it holds; the client of this process uses it."""
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setenv("HF_TOKEN", WRITER)
    with hub_account(NAME) as (address, account):
        monkeypatch.setattr(constants, "ENDPOINT", address)
        yield account


def push(run, folder, *options):
    words = (run.store.root, "--format", "hf", "--output", str(folder), "--push", NAME)
    return output_of("export", (*words, *LICENCE, *options))


def files_in(folder):
    found = [path for path in Path(folder).rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


@pytest.mark.parametrize("private", [False, True])
def test_what_is_pushed_is_the_folder(run, hub, tmp_path, private):
    printed = push(run, tmp_path / "out", *(["--private"] if private else []))
    assert f"{constants.ENDPOINT}/datasets/{NAME}" in printed
    pushed = dict(hub.files)
    pushed.pop(GIT_FILE)
    assert pushed == files_in(tmp_path / "out")
    assert set(pushed) == {"README.md", "croissant.json", "data/train-00000-of-00001.parquet"}
    assert hub.private is private
    card = pushed["README.md"].decode()
    assert metadata(card)["license"] == "cc-by-4.0"
    assert f'load_dataset("{NAME}", split="train")' in card


def test_a_second_push_sends_what_differs(run, hub, tmp_path):
    push(run, tmp_path / "one")
    push(run, tmp_path / "two", "--source-name", "Insects")
    assert len(hub.uploads) == 1
    assert sorted(hub.commits[1]) == ["README.md", "croissant.json"]
    push(run, tmp_path / "three", "--source-name", "Insects")
    assert len(hub.commits) == 2


def test_a_folder_of_an_earlier_push_can_be_uploaded(run, hub, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    said = fails(run, tmp_path, capsys, "--push", NAME, *LICENCE)
    assert f"upload that folder: hf upload {NAME} {tmp_path / 'out'} ." in said
    assert not hub.is_there


def test_files_of_rows_that_are_no_more_are_deleted(run, hub, tmp_path):
    push(run, tmp_path / "one")
    hub.files["data/train-00001-of-00002.parquet"] = b"old"
    hub.files["LICENSE"] = b"added by hand"
    push(run, tmp_path / "two")
    assert "data/train-00001-of-00002.parquet" not in hub.files
    assert "LICENSE" in hub.files


def test_ids_alone_are_pushed(run, hub, tmp_path):
    push(run, tmp_path / "out", "--no-images")
    card = hub.files["README.md"].decode()
    assert "It holds their ids, not the images." in card
    assert "`image` |" not in card
    joining = re.search(r"```python\nfrom hashlib.*?```", card, re.DOTALL)[0]
    assert "image_id" in joining


def fails(run, tmp_path, capsys, *options):
    """Return the sentence that a push ends with."""
    words = (run.store.root, "--format", "hf", "--output", str(tmp_path / "out"), *options)
    with pytest.raises(SystemExit) as ended:
        call("export", words)
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return said


BEFORE = [
    (("--push", NAME), "needs --license"),
    (("--push", "subset", *LICENCE), "must be the name of a data set on the Hub, ORG/NAME"),
    (("--push", "datasets/org/subset", *LICENCE), "ORG/NAME"),
    (("--push", NAME, "--license", "cc-by-40"), "did you mean cc-by-4.0"),
    (("--push", NAME, "--license", "other"), "needs --license-name and --license-link"),
    (("--push", NAME, *LICENCE, "--license-name", "x"), "no other id takes them"),
    (("--push", NAME, *LICENCE, "--source-url", "https://a:b@c.org"), "without a password"),
    (("--private", *LICENCE), "--private is for --push only"),
]


@pytest.mark.parametrize(("options", "sentence"), BEFORE)
def test_a_push_that_cannot_work_writes_nothing(run, hub, tmp_path, capsys, options, sentence):
    assert sentence in fails(run, tmp_path, capsys, *options)
    assert not (tmp_path / "out").exists()
    assert not hub.is_there


def test_without_a_token_nothing_is_written(run, hub, tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    assert "needs a token" in fails(run, tmp_path, capsys, "--push", NAME, *LICENCE)
    assert not (tmp_path / "out").exists()


def fill(hub):
    hub.is_there = True
    hub.files.update({"README.md": b"---\ntags: [mine]\n---\n", "data/train-0.parquet": b"mine"})


AFTER = {
    "forbidden": (lambda hub, patch: patch.setenv("HF_TOKEN", READER), "may not write there"),
    "unknown token": (lambda hub, patch: patch.setenv("HF_TOKEN", "hf_x"), "not know the token"),
    "other data": (lambda hub, patch: fill(hub), "that OTCondense did not write (README.md)"),
    "broken store": (lambda hub, patch: setattr(hub, "is_broken", True), "(answer 413)"),
    "no network": (
        lambda hub, patch: patch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9"),
        "the Hub cannot be reached",
    ),
}


@pytest.mark.parametrize("fault", AFTER)
def test_a_refused_push_keeps_the_folder(run, hub, tmp_path, capsys, monkeypatch, fault):
    prepare, sentence = AFTER[fault]
    prepare(hub, monkeypatch)
    before = dict(hub.files)
    said = fails(run, tmp_path, capsys, "--push", NAME, *LICENCE)
    assert sentence in said
    assert f"hf upload {NAME} {tmp_path / 'out'} . --repo-type dataset" in said
    assert set(files_in(tmp_path / "out")) > {"README.md", "croissant.json"}
    assert {name: hub.files[name] for name in before} == before
    assert not hub.commits


def environment(tmp_path):
    """Return the variables with which a process of its own uses the hub of the test."""
    return {
        **os.environ,
        "HF_ENDPOINT": constants.ENDPOINT,
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }


@pytest.mark.slow
@pytest.mark.parametrize("images", ["--images", "--no-images"])
def test_the_lines_of_the_card_load_what_was_pushed(run, hub, tmp_path, images):
    push(run, tmp_path / "out", images)
    card = hub.files["README.md"].decode()
    lines = "".join(re.findall(r"```python\n(.*?)```", card, re.DOTALL))
    (tmp_path / "SOURCE").symlink_to(run.config.source.path)
    last = "print(len(subset), names, image.size)" if images == "--images" else "print(len(wanted))"
    command = [sys.executable, "-c", f"{lines}\n{last}"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    whole = "12 ['ant', 'bee', 'cat'] (20, 24)"
    assert done.stdout.strip() == (whole if images == "--images" else "12")


@pytest.mark.slow
def test_the_command_of_the_sentence_uploads_the_folder(run, hub, tmp_path, capsys):
    hub.is_broken = True
    said = fails(run, tmp_path, capsys, "--push", NAME, "--private", *LICENCE)
    hub.is_broken = False
    program, *words = shlex.split(said.partition("later: ")[2])
    command = [str(Path(sys.executable).with_name(program)), *words]
    done = subprocess.run(command, env=environment(tmp_path), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert hub.private
    pushed = {name: data for name, data in hub.files.items() if name != GIT_FILE}
    assert pushed == files_in(tmp_path / "out")
