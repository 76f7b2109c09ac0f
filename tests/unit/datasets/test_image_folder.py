import fsspec
import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from otcondense.datasets import (
    SourceConfig,
    image_path,
    list_images,
    read_image_bytes,
    scan_images,
)
from otcondense.errors import InputError


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "images"
    for name in ("beta/2.png", "beta/10.PNG", "alpha/x.jpg", "alpha/deep/y.JPEG", "größe/ü.png"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((2, 2), dtype=np.uint8)).save(folder / name)
    return folder


def test_images_are_sorted_with_class_indices(root):
    records = list_images(SourceConfig(path=str(root)))
    assert [(record.image_id, record.class_index) for record in records] == [
        ("alpha/deep/y.JPEG", 0),
        ("alpha/x.jpg", 0),
        ("beta/10.PNG", 1),
        ("beta/2.png", 1),
        ("größe/ü.png", 2),
    ]
    assert all(record.size_bytes == len(read_image_bytes(record.path)) for record in records)


def test_a_subset_of_classes_keeps_its_indices(root):
    listing = scan_images(SourceConfig(path=str(root), classes=("größe", "alpha")))
    assert {(record.class_name, record.class_index) for record in listing.records} == {
        ("alpha", 0),
        ("größe", 2),
    }
    assert listing.classes == ("alpha", "beta", "größe")


def test_other_files_are_counted_not_lost(root):
    for name in (
        "readme.txt",
        "alpha/notes.md",
        "alpha/.hidden.png",
        "beta/Thumbs.db",
        "loose.png",
    ):
        (root / name).write_bytes(b"x")
    listing = scan_images(SourceConfig(path=str(root)))
    assert list(listing.ignored) == [
        "alpha/.hidden.png",
        "alpha/notes.md",
        "beta/Thumbs.db",
        "loose.png",
        "readme.txt",
    ]
    assert len(listing.records) == 5


def test_a_changed_file_has_another_identity(root):
    before = list(list_images(SourceConfig(path=str(root))))
    (root / "alpha/x.jpg").write_bytes(b"other")
    after = list(list_images(SourceConfig(path=str(root))))
    assert [old.image_id for old, new in zip(before, after, strict=True) if old != new] == [
        "alpha/x.jpg"
    ]


def test_remote_listing_equals_the_local_one(root):
    memory = fsspec.filesystem("memory")
    memory.put(str(root), "/listing", recursive=True)
    remote = list_images(SourceConfig(path="memory://listing"))
    local = list_images(SourceConfig(path=str(root)))
    assert [(r.image_id, r.class_index, r.size_bytes) for r in remote] == [
        (r.image_id, r.class_index, r.size_bytes) for r in local
    ]
    assert read_image_bytes(remote[0].path) == read_image_bytes(local[0].path)
    assert (
        read_image_bytes(image_path(SourceConfig(path="memory://listing"), "beta/2.png"))
        == (root / "beta/2.png").read_bytes()
    )


def empty_class(root):
    (root / "empty").mkdir()
    (root / "empty" / "readme.txt").write_text("x")


def link_out(root):
    (root.parent / "secret.png").write_bytes(b"x")
    (root / "alpha/link.png").symlink_to(root.parent / "secret.png")


def folder_link_out(root):
    (root / "gamma").symlink_to(root.parent, target_is_directory=True)


def many_links_out(root):
    (root.parent / "secret.png").write_bytes(b"x")
    for name in ("alpha/a.png", "alpha/deep/b.png", "beta/c.png"):
        (root / name).symlink_to(root.parent / "secret.png")


def only_broken(root):
    (root / "lost").mkdir()
    (root / "lost" / "1.png").symlink_to(root / "never.png")


def lost_folder(root):
    (root / "gamma").symlink_to(root.parent / "disk that is not mounted")


def link_loop(root):
    (root / "alpha/loop.png").symlink_to(root / "alpha/loop.png")


def folder_loop(root):
    (root / "alpha/again").symlink_to(root / "alpha", target_is_directory=True)


def dangling(root):
    (root / "alpha/gone.png").symlink_to(root / "alpha/never.png")


def unread_suffix(root):
    (root / "alpha/z.HEIC").write_bytes(b"x")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (empty_class, "empty; fill the folder"),
        (link_out, "link.png is a symbolic link out of"),
        (folder_link_out, "gamma is a symbolic link out of"),
        (many_links_out, "a.png is a symbolic link out of .*, and 2 more links lead out"),
        (only_broken, "an image that can be used, found 1 without: lost .*leads nowhere"),
        (lost_folder, "found 1 without: gamma; fill"),
    ],
)
def test_a_bad_tree_is_refused_by_name(root, damage, message):
    damage(root)
    with pytest.raises(InputError, match=message):
        list_images(SourceConfig(path=str(root)))


@pytest.mark.parametrize(
    ("damage", "name", "reason"),
    [
        (link_loop, "alpha/loop.png", "is a symbolic link that leads nowhere or to itself"),
        (folder_loop, "alpha/again", "is a symbolic link to a folder that contains it"),
        (dangling, "alpha/gone.png", "is a symbolic link that leads nowhere or to itself"),
        (unread_suffix, "alpha/z.HEIC", "images with the suffix .heic are not read"),
    ],
)
def test_what_cannot_be_an_image_is_counted_and_named(root, damage, name, reason):
    damage(root)
    listing = scan_images(SourceConfig(path=str(root)))
    assert len(listing) == 5
    (found,) = listing.unusable
    assert (found.image_id, found.class_name) == (name, "alpha")
    assert reason in found.reason
    assert not listing.ignored


def test_links_that_are_no_images_are_no_loss(root):
    for name in ("alpha/notes.txt", "alpha/.hidden.png", "loose.png"):
        (root / name).symlink_to(root / "never")
    listing = scan_images(SourceConfig(path=str(root)))
    assert (len(listing), list(listing.unusable)) == (5, [])
    assert list(listing.ignored) == ["alpha/.hidden.png", "alpha/notes.txt", "loose.png"]


def test_links_below_the_root_are_followed(root):
    (root / "alpha/same.png").symlink_to(root / "beta/2.png")
    assert "alpha/same.png" in [
        record.image_id for record in list_images(SourceConfig(path=str(root)))
    ]


def test_links_out_of_the_root_can_be_allowed(root):
    link_out(root)
    assert len(list_images(SourceConfig(path=str(root), allow_links=True))) == 6


def test_missing_empty_and_flat_roots_are_refused(tmp_path):
    with pytest.raises(InputError, match="found nothing there"):
        list_images(SourceConfig(path=str(tmp_path / "absent")))
    (tmp_path / "1.png").write_bytes(b"x")
    with pytest.raises(
        InputError, match=r"one folder of images per class, found no folder and 1 file"
    ):
        list_images(SourceConfig(path=str(tmp_path)))
    with pytest.raises(InputError, match="found a file there"):
        list_images(SourceConfig(path=str(tmp_path / "1.png")))
    with pytest.raises(InputError, match="found nothing there"):
        list_images(SourceConfig(path="memory://no-such-folder"))


def test_an_unknown_class_is_refused_with_the_nearest_names(root):
    with pytest.raises(InputError, match=r"'bta' is not in .*: beta"):
        list_images(SourceConfig(path=str(root), classes=("bta",)))


@pytest.mark.parametrize(
    "image_id",
    [
        "../x.png",
        "/etc/passwd",
        "alpha/../../x.png",
        "",
        "alpha//x.png",
        "a\\..\\x.png",
        "./alpha/x.jpg",
    ],
)
@pytest.mark.parametrize("remote", [False, True])
def test_an_image_id_cannot_leave_the_root(root, image_id, remote):
    with pytest.raises(InputError, match="relative path below"):
        image_path(SourceConfig(path="memory://images" if remote else str(root)), image_id)


def test_an_image_id_cannot_leave_the_root_by_a_link(root):
    link_out(root)
    with pytest.raises(InputError, match="leads out of"):
        image_path(SourceConfig(path=str(root)), "alpha/link.png")
    assert image_path(SourceConfig(path=str(root)), "alpha/x.jpg") == str(root / "alpha/x.jpg")


def test_settings_are_checked():
    with pytest.raises(ValidationError, match="max_lost_share"):
        SourceConfig(path="x", max_lost_share=1.5)
