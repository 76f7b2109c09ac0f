"""What lies in a folder of images: classes or one class, splits, sizes and colours."""

import statistics
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from otcondense.counts import counted
from otcondense.datasets import SourceConfig, read_image_bytes, scan_images
from otcondense.datasets.decoding import UnreadableImageError, opened
from otcondense.datasets.files import list_tree
from otcondense.datasets.hold_out import LEAST_HELD_OUT, num_held_out
from otcondense.datasets.image_folder import class_folders
from otcondense.datasets.labels import shorten
from otcondense.datasets.listing import Listing
from otcondense.datasets.records import LEAST_CLASS
from otcondense.datasets.splits import WORDS, is_split
from otcondense.datasets.suffixes import IMAGE_SUFFIXES, UNREAD_SUFFIXES
from otcondense.datasets.trees import Tree
from otcondense.errors import InputError
from otcondense.reading import with_home
from otcondense.shares import percent

HELD_OUT_SHARE = 0.1
"""Share of each class that is held out if the folder has no split of its own."""
LOST_SHARE = 0.5
"""Largest share of unreadable images: all are listed, and a folder of photos has some."""
LOOKED_AT = 64
"""Images whose headers are read, evenly spread over all."""
GREY_MODES = frozenset({"1", "L", "LA", "I;16", "I;16B"})
"""Pillow's modes of images without colours."""


@dataclass(frozen=True)
class Look:
    """The sizes and colours of some images."""

    side: int
    """Median of the shorter sides in pixels."""
    is_grey: bool
    """Whether all of them are grey."""


@dataclass(frozen=True)
class Folder:
    """A folder of images as a source."""

    path: str
    """Absolute."""
    source: Mapping[str, Any]
    """Settings of the images to choose from."""
    held_out: Mapping[str, Any] | None
    """Settings of the held-out images; None if there are too few images to hold some out."""
    notes: tuple[str, ...]
    """What is not used, and how images are held out."""

    @cached_property
    def listing(self) -> Listing:
        """The images to choose from."""
        return scan_images(SourceConfig.model_validate(dict(self.source)))

    def look(self) -> Look:
        """Return sizes and colours of some images; unreadable ones are left out.

        Raises: InputError if none of them can be read.
        """
        listing = self.listing
        rows = np.unique(np.linspace(0, len(listing) - 1, LOOKED_AT).round().astype(np.int64))
        found = list(_headers([record.path for record in listing.take(rows)]))
        if not found:
            raise InputError(f"{self.path}: none of {len(rows)} images can be read")
        sides = [side for side, _ in found]
        return Look(int(statistics.median_low(sides)), all(grey for _, grey in found))


def _headers(paths: Sequence[str]) -> Iterator[tuple[int, bool]]:
    """Yield the shorter side of each readable image, and whether it is grey."""
    limit = SourceConfig.model_fields["max_pixels"].default
    for path in paths:
        try:
            with opened(read_image_bytes(path), limit) as image:
                yield min(image.size), image.mode in GREY_MODES
        except (UnreadableImageError, OSError):
            continue


def find_folder(path: str, run: str, *, allow_links: bool) -> Folder:
    """Return what lies in a folder of images.

    Args:
        path: of the folder.
        run: its run directory, which may lie in the folder without becoming a class.
        allow_links: whether symbolic links may lead out of it.

    Raises: InputError if there are no images, or a link leads out.
    """
    root = str(Path(path).expanduser().resolve())
    plain = {"path": root, "max_lost_share": LOST_SHARE, "allow_links": allow_links}
    tree = list_tree(SourceConfig.model_validate(plain))
    tops = _images_below(tree, 0)
    if not tops:
        raise InputError(
            f"{path} must hold images ({' '.join(sorted(IMAGE_SUFFIXES))}) or folders of them, "
            f"found {_unread(tree) or counted(len(tree), 'other file')}"
        )
    notes = [_unread(tree)] if _unread(tree) else []
    in_root = tops.pop("", 0)
    if not tops or (in_root and len(tops) == 1):
        in_all = in_root + sum(tops.values())
        return _with_part(
            {**plain, "kind": "one_class"},
            [f"{counted(in_all, 'image')} in all, taken as one class", *notes],
        )
    splits = _splits(tree, tops)
    if splits:
        return _with_splits(plain, splits, tree)
    if in_root:
        found = f"{counted(in_root, 'image')} in no folder of a class, left out"
        notes.append(f"{found}: {shorten(_loose(tree))}")
    own = _folder_of_run(run, root)
    notes += _about_empty(set(class_folders(tree)) - {*tops, own})
    classes = {"classes": sorted(tops)} if own else {}
    if all(map(is_split, tops)):
        notes.append(f"taken as classes, as there are none in them: {shorten(sorted(tops))}")
    source = {**plain, **classes, "kind": "image_folder", "only_used_classes": True}
    return _with_part(source, notes)


def _about_empty(folders: Collection[str]) -> list[str]:
    """Return what is said of folders without images."""
    return [f"folders without images, left out: {shorten(sorted(folders))}"] if folders else []


def _folder_of_run(run: str, root: str) -> str:
    """Return the folder directly below the root that holds the run directory; empty if none."""
    place = with_home(run).resolve()
    return place.relative_to(root).parts[0] if Path(root) in place.parents else ""


def _loose(tree: Tree) -> list[str]:
    """Return the names of the images in the root itself."""
    rows = np.flatnonzero((tree.folder == 0) & tree.are(IMAGE_SUFFIXES))
    names: list[str] = tree.names.take(pa.array(rows)).to_pylist()
    return names


def _unread(tree: Tree) -> str:
    """Return what is said of images in formats that are not read; empty if there are none."""
    found = {suffix: int(tree.are([suffix]).sum()) for suffix in sorted(UNREAD_SUFFIXES)}
    kinds = [suffix for suffix, count in found.items() if count]
    if not kinds:
        return ""
    images = counted(sum(found.values()), "image")
    return f"{images} in a format that is not read ({' '.join(kinds)}): convert to JPEG or PNG"


def _images_below(tree: Tree, depth: int, top: str = "") -> dict[str, int]:
    """Return the number of images below each folder, by its name at a depth.

    Args:
        tree: of all files.
        depth: 0 for the folders below the root ("" is the root itself), 1 for those below `top`.
        top: a folder below the root.
    """
    parts = [folder.name.split("/") for folder in tree.folders]
    names = [
        each[depth] if len(each) > depth and (not top or each[0] == top) else None for each in parts
    ]
    used = pa.array(names).take(pa.array(tree.folder[tree.are(IMAGE_SUFFIXES)])).drop_null()
    return {each["values"]: each["counts"] for each in used.value_counts().to_pylist()}


def _splits(tree: Tree, tops: Mapping[str, int]) -> dict[str, str]:
    """Return the folder of each split, if all folders are splits with folders in them."""
    inner = {folder.name: folder.folders for folder in tree.folders if folder.name in tops}
    if not all(is_split(name) and inner[name] for name in tops):
        return {}
    found: dict[str, str] = {}
    for name in sorted(tops):
        found.setdefault(WORDS[name.lower()], name)
    return found if "train" in found else {}


def _with_splits(plain: Mapping[str, Any], splits: Mapping[str, str], tree: Tree) -> Folder:
    """Return a folder of splits: the training part, and another one as held-out images."""
    source, notes = _of_split(plain, splits["train"], tree)
    other = splits.get("test") or splits.get("validation")
    if other is None:
        return _with_part(source, [f"images of {splits['train']}", *notes])
    held_out, _ = _of_split(plain, other, tree)
    told = f"images of {splits['train']} to choose from, those of {other} are held out"
    return Folder(str(plain["path"]), source, held_out, (told, *notes))


def _of_split(plain: Mapping[str, Any], split: str, tree: Tree) -> tuple[dict[str, Any], list[str]]:
    """Return the settings of one split, and notes on folders without images."""
    (folders,) = (folder.folders for folder in tree.folders if folder.name == split)
    visible = {name for name in folders if not name.startswith(".")}
    used = sorted(_images_below(tree, 1, split))
    empty = visible - set(used)
    classes = {"classes": used} if empty else {}
    return {**plain, **classes, "kind": "image_folder", "split": split}, _about_empty(empty)


def _with_part(source: Mapping[str, Any], notes: Sequence[str]) -> Folder:
    """Return a folder of which a part is held out, if a class is large enough."""
    whole = scan_images(SourceConfig.model_validate(dict(source)))
    counts = [num_held_out(size, HELD_OUT_SHARE) for size in whole.sizes.values()]
    path = str(source["path"])
    if not any(counts):
        return Folder(path, source, None, (*notes, "all classes are too small to hold images out"))
    shared = {**source, "held_out_share": HELD_OUT_SHARE}
    rule = (
        f"{percent(HELD_OUT_SHARE, 0)} of each class with at least {LEAST_CLASS} images, at least "
        f"{LEAST_HELD_OUT}, the same ones each time (by a hash of their names)"
    )
    told = f"{counted(sum(counts), 'image')} held out to measure: {rule}"
    if 0 in counts:
        told += f"; none of {counted(counts.count(0), 'smaller class')}"
    rest, held_out = {**shared, "part": "rest"}, {**shared, "part": "held_out"}
    return Folder(path, rest, held_out, (*notes, told))
