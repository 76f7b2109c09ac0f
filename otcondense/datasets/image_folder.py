"""PATH/CLASS/IMAGE: a folder per class, as torchvision's ImageFolder reads it.

A file is an image if its suffix says so (its content is looked at when it is decoded, so that a PNG named .JPEG is
read); other files and hidden ones are left out and counted. Symbolic links must stay below the root.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import fsspec

from otcondense.datasets.records import ImageRecord, Listing, SourceConfig, is_remote
from otcondense.errors import InputError

IMAGE_SUFFIXES = frozenset({".bmp", ".gif", ".jfif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
SHOWN = 5
"""How many names an error message lists."""


@dataclass(frozen=True)
class _File:
    name: str
    path: str
    size_bytes: int
    mtime_ns: int

    @property
    def is_image(self) -> bool:
        hidden = any(part.startswith(".") for part in self.name.split("/"))
        return "/" in self.name and not hidden and os.path.splitext(self.name)[1].lower() in IMAGE_SUFFIXES  # noqa: PTH122 - also URIs


def scan_image_folder(source: SourceConfig) -> Listing:
    """Return the classes, images and ignored files below `source.path`.

    Raises: InputError for a missing root, no class folders, a class without images, unknown class names, a link
        that leaves the root or leads to itself, or a file name that is not valid text.
    """
    folders, files = _remote_tree(source) if is_remote(source.path) else _local_tree(source)
    classes = tuple(sorted(folders))
    if not classes:
        raise InputError(f"{source.path} must hold one folder of images per class, found no folder and {len(files)} file(s)")
    used = _used_classes(source, classes)
    index = {name: position for position, name in enumerate(classes)}
    images = [file for file in files if file.is_image and file.name.split("/", 1)[0] in used]
    _refuse_empty(source, used, images)
    records = [_record(file, index) for file in images]
    ignored = sorted(file.name for file in files if not file.is_image)
    return Listing(classes, sorted(records, key=lambda record: (record.class_index, record.image_id)), ignored)


def _record(file: _File, index: dict[str, int]) -> ImageRecord:
    name = file.name.split("/", 1)[0]
    return ImageRecord(file.name, name, index[name], file.path, file.size_bytes, file.mtime_ns)


def _used_classes(source: SourceConfig, classes: tuple[str, ...]) -> frozenset[str]:
    if source.classes is None:
        return frozenset(classes)
    for name in source.classes:
        if name not in classes:
            near = get_close_matches(name, classes, n=3) or classes[:SHOWN]
            raise InputError(f"class {name!r} is not a folder of {source.path}; nearest names: {', '.join(near)}")
    return frozenset(source.classes)


def _refuse_empty(source: SourceConfig, used: frozenset[str], images: Iterable[_File]) -> None:
    empty = sorted(used - {file.name.split("/", 1)[0] for file in images})
    if empty:
        names = ", ".join(empty[:SHOWN]) + (", ..." if len(empty) > SHOWN else "")
        raise InputError(
            f"every class folder of {source.path} must hold at least one image ({' '.join(sorted(IMAGE_SUFFIXES))}), "
            f"found {len(empty)} without: {names}; fill or remove the folder, or name the wanted ones in `classes`"
        )


def _local_tree(source: SourceConfig) -> tuple[list[str], list[_File]]:
    root = Path(source.path).resolve()
    if not root.is_dir():
        found = "a file" if root.exists() else "nothing"
        raise InputError(f"the image source {source.path} must be a folder with one folder per class, found {found} there")
    with os.scandir(root) as entries:
        folders = [entry.name for entry in entries if entry.is_dir() and not entry.name.startswith(".")]
    return folders, list(_walk(source, root, root, frozenset({root})))


def _walk(source: SourceConfig, root: Path, folder: Path, above: frozenset[Path]) -> Iterator[_File]:
    """Yield the files below `folder`; `above` are the real folders on the way down, which a link must not lead back to."""
    with os.scandir(folder) as entries:
        for entry in entries:
            path = Path(entry.path)
            _check_name(path)
            real = _followed(source, root, path) if entry.is_symlink() else path
            if entry.is_dir():
                if real in above:
                    raise InputError(f"{path} is a symbolic link to a folder that contains it; remove it")
                yield from _walk(source, root, path, above | {real})
            else:
                status = entry.stat()
                yield _File(path.relative_to(root).as_posix(), entry.path, status.st_size, status.st_mtime_ns)


def _check_name(path: Path) -> None:
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise InputError(f"the file name {str(path)!r} is not valid UTF-8; rename it") from error


def _followed(source: SourceConfig, root: Path, link: Path) -> Path:
    try:
        target = link.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise InputError(f"{link} is a symbolic link that leads nowhere or to itself; remove it") from error
    if not source.allow_links and not target.is_relative_to(root):
        raise InputError(f"{link} is a symbolic link out of {root} to {target}; set allow_links=true if that is wanted")
    return target


def _remote_tree(source: SourceConfig) -> tuple[list[str], list[_File]]:
    filesystem, root = fsspec.core.url_to_fs(source.path)
    root = root.rstrip("/")
    found: dict[str, Any] = filesystem.find(root, detail=True)
    if not found:
        raise InputError(f"the image source {source.path} must hold one folder of images per class, found nothing there")
    files = [_remote_file(filesystem, path[len(root) + 1 :], path, info) for path, info in found.items()]
    return sorted({file.name.split("/", 1)[0] for file in files if "/" in file.name and not file.name.startswith(".")}), files


def _remote_file(filesystem: fsspec.AbstractFileSystem, name: str, path: str, info: dict[str, Any]) -> _File:
    changed = info.get("LastModified", info.get("mtime", info.get("created")))
    seconds = changed.timestamp() if isinstance(changed, datetime) else float(changed or 0)
    return _File(name, filesystem.unstrip_protocol(path), int(info["size"]), round(seconds * 1e9))
