"""PATH/CLASS/IMAGE: a folder per class, as torchvision's ImageFolder reads it.

The suffix of a file decides whether it is an image; the decoder looks at the content, so a PNG
named .JPEG is read. Other files and hidden ones are ignored and counted. Symbolic links must stay
below the root.
"""

from collections.abc import Collection, Iterable

import numpy as np
import pyarrow as pa
from jaxtyping import Bool

from otcondense.counts import counted
from otcondense.datasets.building import build_listing
from otcondense.datasets.caption_files import FolderCaptions
from otcondense.datasets.files import list_tree
from otcondense.datasets.ids import check_relative_paths
from otcondense.datasets.labels import read_class_names, shorten, used_classes
from otcondense.datasets.listing import Listing
from otcondense.datasets.names import check_class_name, order_classes
from otcondense.datasets.parts import NO_LABEL, Faulty, Labels, Numbers, Part, sorted_texts, texts
from otcondense.datasets.records import SourceConfig
from otcondense.datasets.splits import is_split
from otcondense.datasets.suffixes import IMAGE_SUFFIXES, UNREAD_SUFFIXES, unread_suffix
from otcondense.datasets.trees import Folder, Link, Tree
from otcondense.errors import InputError


def scan_image_folder(source: SourceConfig) -> Listing:
    """Return the classes, images and ignored files below `source.path`.

    Raises: InputError for a missing root, no class folders, a class without images, unknown class
        names, a link that leaves the root, or a name that a later stage could not use.
    """
    tree = list_tree(source)
    tops = class_folders(tree)
    _refuse_splits(source, tree)
    if not tops:
        raise InputError(
            f"{source.path} must hold one folder of images per class, "
            f"found no folder and {counted(len(tree), 'file')}"
        )
    is_image = _are_images(tree)
    if source.only_used_classes:
        tops = _with_images(tree)
    used = used_classes(source, tops)
    classes = _all_classes(source, used if source.only_used_classes else tops)
    for name in sorted(used):
        check_class_name(name, source.path)
    parts = [_images(tree, is_image, used), _links(tree, used)]
    for part in parts:
        check_relative_paths(part.ids, source.path)
    filled = [name for part in parts for name in part.labels.values]
    _refuse_empty(source, used, filled)
    captions = FolderCaptions.of(source, tree)
    parts = [captions.attach(part) for part in parts]
    others = captions.without_own(tree.paths(~is_image))
    ignored = sorted_texts([others, _other_links(tree)])
    return build_listing(source, parts, classes, ignored, tree.root)


def class_folders(tree: Tree) -> list[str]:
    """Return the names of the folders of classes, also those of links that are not followed."""
    lost = [link.name for link in tree.folders[0].links if _is_folder_name(link)]
    return sorted({*tree.tops, *lost})


def _with_images(tree: Tree) -> list[str]:
    """Return the names of the folders that hold images that can be read."""
    numbers = np.unique(tree.folder[tree.are(IMAGE_SUFFIXES) & (tree.folder > 0)])
    return sorted({tree.folders[number].top for number in numbers.tolist()})


def _refuse_splits(source: SourceConfig, tree: Tree) -> None:
    """Refuse a folder of splits: each would become a class, and the test set part of the subset."""
    tops = tree.tops
    if source.classes is not None or not tops or not all(is_split(name) for name in tops):
        return
    of_tops = [folder for folder in tree.folders if folder.name in tops]
    folders = np.array([folder.name in tops for folder in tree.folders])
    has_images = (_are_images(tree) & folders[tree.folder]).any()
    if has_images or not all(folder.folders for folder in of_tops):
        return
    split = "train" if "train" in tops else tops[0]
    raise InputError(
        f"{source.path} must hold folders of classes, found the splits {', '.join(tops)}, each "
        f"with folders in it; set source.split={split}, or name them in source.classes if they "
        "are classes"
    )


def _is_folder_name(link: Link) -> bool:
    """Tell whether a link that leads nowhere has the name of a visible folder."""
    name = link.name.rpartition("/")[2]
    return "." not in name


def _are_images(tree: Tree) -> Bool[np.ndarray, " n"]:
    """Tell which files are images, those of unread suffixes included."""
    return np.asarray(tree.are(IMAGE_SUFFIXES | UNREAD_SUFFIXES) & (tree.folder > 0))


def _images(tree: Tree, is_image: Bool[np.ndarray, " n"], used: frozenset[str]) -> Part:
    """Return the images in the folders of the used classes."""
    numbers = Numbers()
    of_folder = [numbers.of(each.top if each.top in used else None) for each in tree.folders]
    codes = np.array(of_folder, np.int32)[tree.folder]
    is_wanted = is_image & (codes != NO_LABEL)
    present, codes = np.unique(codes[is_wanted], return_inverse=True)
    ids = tree.paths(is_wanted)
    faulty = Faulty()
    for row in np.flatnonzero(tree.are(UNREAD_SUFFIXES)[is_wanted]).tolist():
        faulty.add(row, unread_suffix(f".{ids[row].as_py().rpartition('.')[2].lower()}"))
    return Part(
        ids=ids,
        labels=Labels(codes.astype(np.int32), [numbers.values[code] for code in present]),
        size_bytes=tree.size_bytes[is_wanted],
        mtime_ns=tree.mtime_ns[is_wanted],
        faulty=faulty,
    )


def _links(tree: Tree, used: frozenset[str]) -> Part:
    """Return the links that stand for images and lead nowhere."""
    links = [
        link
        for folder in tree.folders
        for link in folder.links
        if folder.top in used and _may_be_image(folder, link)
    ]
    faulty = Faulty()
    for row, link in enumerate(links):
        faulty.add(row, f"is {link.reason}")
    none = np.zeros(len(links), np.int64)
    labels = Labels.of(link.name.split("/", 1)[0] for link in links)
    return Part(texts(link.name for link in links), labels, none, none, faulty=faulty)


def _other_links(tree: Tree) -> pa.LargeStringArray:
    """Return the links that lead nowhere and cannot stand for images."""
    return texts(
        link.name
        for folder in tree.folders
        for link in folder.links
        if not _may_be_image(folder, link)
    )


def _may_be_image(folder: Folder, link: Link) -> bool:
    """Tell whether a link stands for an image or a folder of them."""
    name = link.name.rpartition("/")[2]
    suffix = f".{name.rpartition('.')[2].lower()}"
    if folder.is_hidden or name.startswith("."):
        return False
    is_image = bool(folder.name) and suffix in IMAGE_SUFFIXES | UNREAD_SUFFIXES
    return is_image or _is_folder_name(link)


def _all_classes(source: SourceConfig, folders: Collection[str]) -> tuple[str, ...]:
    """Return the classes in the order of their indices."""
    names = read_class_names(source)
    if names is None:
        return tuple(order_classes(folders))
    unknown = sorted(set(folders) - set(names))
    if unknown:
        raise InputError(
            f"every class folder of {source.path} must be a line of {source.class_names}, "
            f"missing there: {shorten(unknown)}"
        )
    return names


def _refuse_empty(source: SourceConfig, used: frozenset[str], folders: Iterable[str]) -> None:
    empty = sorted(used - set(folders))
    if empty:
        raise InputError(
            f"every class folder of {source.path} must hold at least one image "
            f"({' '.join(sorted(IMAGE_SUFFIXES))}), found {len(empty)} without: {shorten(empty)}; "
            "fill the folder, or name the wanted ones in source.classes"
        )
