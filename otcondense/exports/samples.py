"""Samples in the shapes that evaluators and people read; a new format is one function and one line in `SAMPLE_EXPORTS`."""

import io
import shutil
import uuid
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Int, UInt8
from PIL import Image

from otcondense.errors import InputError

Parts = Iterator[tuple[UInt8[np.ndarray, "n c h w"], Int[np.ndarray, " n"]]]
"""Images and their classes, a batch at a time, in the order of their indices."""
RGB = 3


def write_npz(parts: Parts, target: Path, count: int) -> None:
    """ADM's evaluator: `arr_0` uint8 [n, height, width, 3] and `arr_1` with the classes; a batch is in memory at a time."""
    first, labels = next(parts)
    classes = [labels]
    with zipfile.ZipFile(target, "w") as archive:
        # A fixed date: the same samples, the same bytes.
        with archive.open(zipfile.ZipInfo("arr_0.npy"), "w", force_zip64=True) as file:
            _header(file, np.dtype(np.uint8), (count, *first.shape[2:], RGB))
            file.write(_rows(first))
            for images, more in parts:
                file.write(_rows(images))
                classes.append(more)
        with archive.open(zipfile.ZipInfo("arr_1.npy"), "w", force_zip64=True) as file:
            _header(file, np.dtype(np.int64), (count,))
            file.write(np.concatenate(classes).astype(np.int64).tobytes())


def _header(file: Any, dtype: np.dtype, shape: tuple[int, ...]) -> None:
    facts = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, facts)


def _rows(images: UInt8[np.ndarray, "n c h w"]) -> bytes:
    """Return images as [n, height, width, 3], a grey channel three times."""
    return np.ascontiguousarray(
        np.broadcast_to(images.transpose(0, 2, 3, 1), (len(images), *images.shape[2:], RGB))
    ).tobytes()


def write_png(parts: Parts, target: Path, count: int) -> None:
    """A folder of 000000.png, 000001.png, … by image index."""
    target.mkdir()
    digits, index = max(6, len(str(count - 1))), 0
    for images, _ in parts:
        for image in images:
            pixels = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
            Image.fromarray(pixels).save(target / f"{index:0{digits}d}.png")
            index += 1


def write_parquet(parts: Parts, target: Path, count: int) -> None:
    """One file that `datasets` reads as images: `image` (struct of PNG bytes and path) and `label`."""
    schema = pa.schema(
        [
            ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
            ("label", pa.int64()),
        ]
    )
    index = 0
    with pq.ParquetWriter(target, schema) as writer:
        for images, labels in parts:
            rows = []
            for image in images:
                data = io.BytesIO()
                Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0)).save(
                    data, "PNG"
                )
                rows.append({"bytes": data.getvalue(), "path": f"{index:06d}.png"})
                index += 1
            writer.write_table(
                pa.table(
                    [pa.array(rows, schema.field("image").type), pa.array(labels, pa.int64())],
                    schema=schema,
                )
            )
    assert index == count


SAMPLE_EXPORTS: dict[str, Callable[[Parts, Path, int], None]] = {
    "npz": write_npz,
    "png": write_png,
    "parquet": write_parquet,
}


def export_samples(parts: Parts, form: str, output: str, count: int) -> None:
    """Write `count` samples as one file or folder, whole or not at all.

    Raises: InputError if the output exists, or there are fewer samples.
    """
    final = Path(output)
    if final.exists():
        raise InputError(f"--output must not exist yet, found {output}")
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary = final.parent / f".tmp-{uuid.uuid4().hex}"
    try:
        SAMPLE_EXPORTS[form](parts, temporary, count)
        temporary.replace(final)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        temporary.unlink(missing_ok=True)
