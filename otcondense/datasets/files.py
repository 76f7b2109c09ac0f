"""The files that hold the images of a source, local or remote."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from otcondense.datasets.kinds import SOURCES
from otcondense.datasets.local_trees import local_tree
from otcondense.datasets.named_files import named_files, single_file
from otcondense.datasets.parts import Texts, sorted_texts, texts
from otcondense.datasets.records import SourceConfig, is_pattern, is_remote, resolved
from otcondense.datasets.remote_trees import remote_tree
from otcondense.datasets.splits import belongs_to, refuse_mixed_splits, refuse_other_splits
from otcondense.datasets.trees import SourceFile, Tree
from otcondense.errors import InputError
from otcondense.near_names import near_path

__all__ = ["SourceFile", "container_files", "list_tree", "source_state"]


def list_tree(source: SourceConfig) -> Tree:
    """Return all files below the root.

    Raises: InputError if the root is missing, a link leaves it, or a name is not valid text.
    """
    if source.shards:
        raise InputError(
            f"source.path must be a folder {SOURCES[source.kind].folder}, found a list of "
            f"{len(source.shards)} files"
        )
    if is_remote(source.path):
        return remote_tree(source)
    root = resolved(Path(source.path))
    if not root.is_dir():
        found = "a file there" if root.exists() else f"nothing there{near_path(root)}"
        raise InputError(
            f"the image source {source.path} must be a folder {SOURCES[source.kind].folder}, "
            f"found {found}"
        )
    return local_tree(source, root)


def container_files(source: SourceConfig, *suffixes: str) -> tuple[list[SourceFile], Texts]:
    """Return the files that hold the images, sorted by name, and the names of all other files.

    `source.path` is such files, or a folder of them. Only those of `source.split` count.

    Raises: InputError as `list_tree` and `named_files` do, if there is no such file, one of them is
        a link that leads nowhere, or they are of several splits.
    """
    named = named_files(source)
    is_listed = bool(source.shards) or is_pattern(source.path)
    if named is not None and (is_listed or _has_suffix(source.path, suffixes)):
        wanted = [file for file in named if _has_suffix(file.name, suffixes)]
        others = [texts(file.name for file in named if not _has_suffix(file.name, suffixes))]
        total = len(named)
    elif named is not None:
        raise InputError(
            f"{source.path} must have the suffix {' or '.join(suffixes)} (source.kind is "
            f"{source.kind}); rename it, or set source.kind"
        )
    else:
        tree = list_tree(source)
        _refuse_links(tree, suffixes)
        is_wanted = tree.are(suffixes)
        links = texts(link.name for link in tree.links)
        wanted, others = tree.files(is_wanted), [tree.paths(~is_wanted), links]
        total = len(tree)
    if not wanted:
        raise InputError(
            f"{source.path} must be a {' or '.join(suffixes)} file or hold such files "
            f"(source.kind is {source.kind}), found {total} others"
        )
    chosen = _of_split(source, wanted, is_named=named is not None)
    kept = set(chosen)
    left_out = texts(file.name for file in wanted if file not in kept)
    return sorted(chosen, key=lambda file: file.name), sorted_texts([*others, left_out])


def _of_split(source: SourceConfig, files: list[SourceFile], *, is_named: bool) -> list[SourceFile]:
    """Return the files of the split; files that the source names itself may be of several."""
    names = [file.name for file in files]
    if source.split is None:
        if not is_named:
            refuse_mixed_splits(source.path, names)
        return files
    refuse_other_splits(source.path, source.split, names)
    return [file for file in files if belongs_to(file.name, source.split)]


def _has_suffix(name: str, suffixes: Sequence[str]) -> bool:
    return name.lower().endswith(tuple(suffixes))


def _refuse_links(tree: Tree, suffixes: Sequence[str]) -> None:
    """Refuse shards that are links to nothing: each stands for many images."""
    lost = [link for link in tree.links if _has_suffix(link.name, suffixes)]
    if lost:
        raise InputError(
            f"every {' or '.join(suffixes)} file below {tree.root} must be there, found "
            f"{len(lost)} links to none: {lost[0].name} is {lost[0].reason}; "
            "point it elsewhere or remove it"
        )


def source_state(source: SourceConfig) -> str:
    """Return a digest of path, size and time of change of every file of a source.

    The listing stays the same as long as the state does.

    Raises: InputError as `list_tree` does.
    """
    files = named_files(source)
    tree = list_tree(source).state() if files is None else ""
    names = []
    if source.class_names is not None and Path(source.class_names).is_file():
        names.append(single_file(source.class_names))
    return hashlib.sha256(repr((tree, files, names)).encode()).hexdigest()
