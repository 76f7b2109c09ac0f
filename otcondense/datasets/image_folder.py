"""PATH/CLASS/IMAGE: a folder per class, as torchvision's ImageFolder reads it.

The suffix of a file decides whether it is an image; the decoder looks at the content, so a PNG
named .JPEG is read. Other files and hidden ones are ignored and counted. Symbolic links must stay
below the root.
"""

from collections.abc import Collection, Iterable, Sequence

import numpy as np
import pyarrow as pa
from jaxtyping import Bool

from otcondense.datasets.building import build_listing
from otcondense.datasets.files import list_tree
from otcondense.datasets.ids import check_relative_paths
from otcondense.datasets.labels import read_class_names, shorten, used_classes
from otcondense.datasets.listing import Listing
from otcondense.datasets.names import check_class_name, order_classes
from otcondense.datasets.parts import TEXT, Faulty, Labels, Part, sorted_texts
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
    tops = _class_folders(tree)
    _refuse_splits(source, tree)
    if not tops:
        raise InputError(
            f"{source.path} must hold one folder of images per class, "
            f"found no folder and {len(tree)} file(s)"
        )
    used = used_classes(source, tops)
    classes = _all_classes(source, tops)
    for name in sorted(used):
        check_class_name(name, source.path)
    parts: list[Part] = []
    ignored: list[pa.Array] = []
    filled: set[str] = set()
    for folder in tree.folders:
        is_image = _are_images(folder)
        ignored += [folder.paths(~is_image), _other_links(folder)]
        if folder.top in used:
            part = _part(folder, is_image)
            check_relative_paths(part.ids, source.path)
            parts.append(part)
            filled |= {folder.top} if len(part) else set()
    _refuse_empty(source, used, filled)
    return build_listing(source, parts, classes, sorted_texts(ignored), tree.root)


def _class_folders(tree: Tree) -> list[str]:
    """Return the folders of classes, also those that are links to nothing."""
    lost = [link.name for link in tree.folders[0].links if _is_folder_name(link)]
    return sorted({*tree.tops, *lost})


def _refuse_splits(source: SourceConfig, tree: Tree) -> None:
    """Refuse a folder of splits: each would become a class, and the test set part of the subset."""
    tops = tree.tops
    if source.classes is not None or not tops or not all(is_split(name) for name in tops):
        return
    of_tops = [folder for folder in tree.folders if folder.name in tops]
    if any(_are_images(folder).any() or not folder.folders for folder in of_tops):
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


def _are_images(folder: Folder) -> Bool[np.ndarray, " n"]:
    """Tell which files of a folder are images, those of unread suffixes included."""
    if not folder.name:
        return np.zeros(len(folder.names), np.bool_)
    return folder.are(IMAGE_SUFFIXES | UNREAD_SUFFIXES)


def _other_links(folder: Folder) -> pa.LargeStringArray:
    """Return the links that lead nowhere and cannot stand for images."""
    names = [link.name for link in folder.links if not _may_be_image(folder, link)]
    return pa.array(names, TEXT)


def _part(folder: Folder, is_image: Bool[np.ndarray, " n"]) -> Part:
    """Return the images of a folder, with the links that may have been images."""
    links = [link for link in folder.links if _may_be_image(folder, link)]
    names = pa.array([link.name for link in links], TEXT)
    none = np.zeros(len(links), np.int64)
    ids = pa.concat_arrays([folder.paths(is_image), names])
    return Part(
        ids=ids,
        labels=Labels.same(folder.top, len(ids)),
        size_bytes=np.concatenate([folder.size_bytes[is_image], none]),
        mtime_ns=np.concatenate([folder.mtime_ns[is_image], none]),
        faulty=_faulty(folder, is_image, links),
    )


def _faulty(folder: Folder, is_image: Bool[np.ndarray, " n"], links: Sequence[Link]) -> Faulty:
    faulty = Faulty()
    count = int(is_image.sum())
    places = np.flatnonzero(is_image)
    for row in np.flatnonzero(folder.are(UNREAD_SUFFIXES)[is_image]).tolist():
        name = folder.names[int(places[row])].as_py()
        faulty.add(row, unread_suffix(f".{name.rpartition('.')[2].lower()}"))
    for row, link in enumerate(links):
        faulty.add(count + row, f"is {link.reason}")
    return faulty


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
            "fill the folder, or name the wanted ones in `classes`"
        )
