"""Folders of images that the workflow itself writes: damaged files are found and written again.

A marker in the folder names the settings and the SHA-256 of every file. If the marker is damaged,
or an earlier version wrote it without this list, the pixels are compared with those to write.
"""

import io
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from otcondense.datasets.decoding import UnreadableImageError, decode_image
from otcondense.errors import InputError
from otcondense.reading import LIST_BYTES, parse_json, read_regular
from otcondense.store.files import Store
from otcondense.store.hashing import sha256_bytes
from otcondense.store.json_text import DIGEST
from otcondense.store.local_files import write_whole

HASHES = "sha256"
"""Key in the marker of the hash of each file by its name."""
MOST_PIXELS = 2**20
"""Pixels of an image; ours are of 8 to 32 pixels a side."""
SHOWN = 3
"""Names that a message lists."""


@dataclass(frozen=True)
class WrittenImages:
    """A folder of images that are the same whenever they are written."""

    root: Path
    what: str
    """The images in words, for messages."""
    marker: str
    """Name of the marker file."""
    settings: dict[str, Any]
    """Settings that decide the images, as JSON values."""
    images: Callable[[], Iterator[tuple[str, Image.Image]]]
    """Yields the name and the picture of every image."""
    legacy: frozenset[str] = frozenset()
    """Further keys of the markers of earlier versions."""

    def write(self) -> None:
        """Write the folder whole or not at all, or repair what is damaged in it.

        Raises: InputError if the folder holds something else, or images of other settings.
        """
        if not self.root.exists() or (self.root.is_dir() and not any(self.root.iterdir())):
            self._write_all()
            return
        hashes = self._hashes()
        if hashes is None or not self._is_intact(hashes):
            self._repair(is_marked=hashes is not None)

    def _write_all(self) -> None:
        with write_whole(self.root) as temporary:
            hashes = {}
            for name, image in self.images():
                data = _png(image)
                hashes[name] = sha256_bytes(data)
                _write(temporary / name, data)
            self._mark(temporary, hashes)
            if self.root.exists():
                self.root.rmdir()

    def _repair(self, *, is_marked: bool) -> None:
        """Write each image that is missing or has other pixels, then the marker.

        Raises: InputError before anything is written, if there are other images.
        """
        images = dict(self.images())
        kept = {name: _intact(self.root / name, image) for name, image in images.items()}
        self._refuse_others(set(images))
        is_ours = is_marked or any(data is not None for data in kept.values())
        if not is_ours and any((self.root / name).exists() for name in images):
            raise InputError(
                f"{self.root / self.marker} is damaged, and the images beside it are other ones; "
                "choose another folder"
            )
        hashes = {}
        for name, image in images.items():
            data = kept[name]
            if data is None:
                data = _png(image)
                _write(self.root / name, data)
            hashes[name] = sha256_bytes(data)
        self._mark(self.root, hashes)

    def _mark(self, folder: Path, hashes: dict[str, str]) -> None:
        Store(str(folder)).write_json(self.marker, {**self.settings, HASHES: hashes})

    def _hashes(self) -> dict[str, str] | None:
        """Return the hash of each file by its name, None if the marker has no readable list.

        Raises: InputError if the folder holds something else, or images of other settings.
        """
        path = self.root / self.marker
        if not self.root.is_dir() or not path.is_file():
            raise InputError(
                f"{self.root} must be absent, empty or hold the {self.what}, found other files; "
                "choose another folder"
            )
        written = _read_marker(path)
        if written is None:
            return None
        hashes = written.pop(HASHES, None)
        found = {key: value for key, value in written.items() if key not in self.legacy}
        if found != self.settings:
            raise InputError(
                f"{self.root} holds {self.what} of other settings ({found}), "
                f"expected {self.settings}; choose another folder"
            )
        return hashes if isinstance(hashes, dict) else None

    def _is_intact(self, hashes: dict[str, str]) -> bool:
        """Tell whether every file has its hash.

        Raises: InputError if there are other images.
        """
        self._refuse_others(set(hashes))
        for name, sha256 in hashes.items():
            try:
                if sha256_bytes(read_regular(self.root / name, LIST_BYTES)) != sha256:
                    return False
            except OSError:
                return False
        return True

    def _refuse_others(self, names: set[str]) -> None:
        """Refuse images that nobody here wrote: they would become part of the data set."""
        found = {str(path.relative_to(self.root)) for path in self.root.rglob("*.png")}
        others = sorted(found - names)
        if others:
            raise InputError(
                f"{self.root} must hold the {self.what} only, found {len(others)} other images: "
                f"{', '.join(others[:SHOWN])}; move them elsewhere"
            )


def _read_marker(path: Path) -> dict[str, Any] | None:
    """Return the content of a marker; None if it is damaged. Earlier versions wrote no digest."""
    try:
        return Store(str(path.parent)).read_json(path.name)
    except InputError:
        pass
    try:
        plain = parse_json(read_regular(path, LIST_BYTES), str(path))
    except InputError:
        return None
    is_earlier = isinstance(plain, dict) and not {DIGEST, HASHES} & plain.keys()
    return plain if is_earlier else None


def _intact(path: Path, expected: Image.Image) -> bytes | None:
    """Return the content of a file if it has the expected pixels."""
    try:
        data = read_regular(path, LIST_BYTES)
        found = decode_image(data, channels=1, max_pixels=MOST_PIXELS)
    except (OSError, UnreadableImageError):
        return None
    return data if np.array_equal(np.asarray(found), np.asarray(expected)) else None


def _png(image: Image.Image) -> bytes:
    sink = io.BytesIO()
    image.save(sink, "PNG")
    return sink.getvalue()


def _write(path: Path, data: bytes) -> None:
    """Write an image with a fixed time, so that every copy of the data has the same fingerprint."""
    if path.is_dir():
        raise InputError(f"{path} must be an image, found a folder; move it elsewhere")
    path.parent.mkdir(parents=True, exist_ok=True)
    with write_whole(path) as temporary:
        temporary.write_bytes(data)
        os.utime(temporary, (0, 0))
