"""Links, left-over temporary names, and things in the place of files and folders."""

import os
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from otcondense.store import Store
from otcondense.store.local_files import TEMPORARY_PREFIX

Obstacle = Callable[[Path], None]


def folder(path: Path) -> None:
    path.mkdir()
    (path / "mine.txt").write_text("mine")


def file(path: Path) -> None:
    path.write_text("mine")


def pipe(path: Path) -> None:
    os.mkfifo(path)


def broken_link(path: Path) -> None:
    path.symlink_to("nowhere")


def circle(path: Path) -> None:
    path.symlink_to(path.name)


@pytest.mark.parametrize("obstacle", [folder, pipe, broken_link, circle])
def test_what_lies_in_the_place_of_a_file_is_renamed(tmp_path: Path, obstacle: Obstacle) -> None:
    store = Store(str(tmp_path))
    (tmp_path / "a").mkdir()
    obstacle(tmp_path / "a" / "x.bin")
    assert not store.exists("a/x.bin")
    store.write_bytes("a/x.bin", b"1")
    store.append_line("a/x.bin", "2")
    assert store.read_bytes("a/x.bin") == b"1\n2\n"
    assert os.path.lexists(tmp_path / "a" / ".displaced-1-x.bin")


@pytest.mark.parametrize("obstacle", [file, pipe, broken_link, circle])
def test_what_lies_in_the_place_of_a_folder_is_renamed(tmp_path: Path, obstacle: Obstacle) -> None:
    store = Store(str(tmp_path))
    file(tmp_path / ".displaced-1-a")
    obstacle(tmp_path / "a")
    assert not store.exists("a/x.bin")
    assert store.list("a/x.bin") == []
    store.remove("a/x.bin")
    store.write_bytes("a/x.bin", b"1")
    store.append_line("b/log", "2")
    assert store.read_bytes("a/x.bin") == b"1"
    assert os.path.lexists(tmp_path / ".displaced-2-a")


def test_nothing_above_the_root_is_renamed(tmp_path: Path) -> None:
    file(tmp_path / "notes.txt")
    with pytest.raises(OSError, match="Not a directory"):
        Store(str(tmp_path / "notes.txt" / "run")).write_bytes("a/x.bin", b"1")
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_links_to_folders_are_followed_and_circles_are_not(tmp_path: Path) -> None:
    (tmp_path / "disk" / "x").mkdir(parents=True)
    file(tmp_path / "disk" / "x" / "a.bin")
    (tmp_path / "disk" / "x" / "up").symlink_to(tmp_path / "disk")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "features").symlink_to(tmp_path / "disk")
    (tmp_path / "run" / "linked.bin").symlink_to(tmp_path / "disk" / "x" / "a.bin")
    (tmp_path / "run" / "broken").symlink_to("nowhere")
    pipe(tmp_path / "run" / "pipe")
    store = Store(str(tmp_path / "run"))
    assert store.list() == ["features/x/a.bin", "linked.bin"]
    assert store.list("features") == ["features/x/a.bin"]


def test_only_names_that_a_writer_makes_are_left_over(tmp_path: Path) -> None:
    ours = [f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}" for _ in range(4)]
    theirs = [f"{TEMPORARY_PREFIX}notes", f"{ours[0]}.txt", f"x{ours[0]}"]
    (tmp_path / "disk").mkdir()
    (tmp_path / "run" / "a").mkdir(parents=True)
    (tmp_path / "run" / "linked").symlink_to(tmp_path / "disk")
    folder(tmp_path / "run" / ours[0])
    file(tmp_path / "run" / "a" / ours[1])
    file(tmp_path / "disk" / ours[2])
    (tmp_path / "run" / ours[3]).symlink_to(tmp_path / "disk")
    for name in theirs:
        file(tmp_path / "run" / name)
    store = Store(str(tmp_path / "run"))
    assert store.list() == sorted([theirs[2]])
    store.remove_temporaries()
    left = {path.name for path in tmp_path.rglob("*")}
    assert left == {"disk", "run", "a", "linked", *theirs}


def test_removing_a_link_leaves_what_it_leads_to(tmp_path: Path) -> None:
    folder(tmp_path / "disk")
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    Store(str(tmp_path)).remove("link")
    assert (tmp_path / "disk" / "mine.txt").exists()
    assert not (tmp_path / "link").is_symlink()


@pytest.mark.parametrize("root", ["foo://bar/run", "s3+x://bucket"])
def test_a_root_that_nothing_can_open_is_one_sentence(root: str) -> None:
    with pytest.raises(ValueError, match="must be a local directory or a URI that fsspec can open"):
        Store(root).exists("x")
