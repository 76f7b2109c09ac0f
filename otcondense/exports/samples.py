"""Samples in the formats of evaluators; a new format is one function and one line."""

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import Int, UInt8

from otcondense.exports.hub_metadata import described
from otcondense.exports.outputs import new_output
from otcondense.exports.parquet_tables import IMAGE, parquet_writer
from otcondense.npy import write_header
from otcondense.store.local_files import write_whole

Parts = Iterator[tuple[UInt8[np.ndarray, "n c h w"], Int[np.ndarray, " n"]]]
"""Images and their classes, a batch at a time, in the order of their indices."""
Prompts = Sequence[str] | None
"""Prompt of each sample; None for samples of classes."""
RGB = 3
SHORTEST_NAME = 6
"""Digits of the index in the name of an image, at least."""


def write_npz(
    parts: Parts,
    target: Path,
    count: int,
    prompts: Prompts = None,  # noqa: ARG001 - the format has none
) -> None:
    """ADM's evaluator: `arr_0` uint8 [n, height, width, 3] and `arr_1` with the classes.

    One batch is in memory at a time. The date is fixed: the same samples give the same bytes.
    """
    first, first_labels = next(parts)
    labels = [first_labels]
    with zipfile.ZipFile(target, "w") as archive:
        with archive.open(zipfile.ZipInfo("arr_0.npy"), "w", force_zip64=True) as file:
            write_header(file, np.dtype(np.uint8), (count, *first.shape[2:], RGB))
            file.write(_rgb_bytes(first))
            for images, more in parts:
                file.write(_rgb_bytes(images))
                labels.append(more)
        with archive.open(zipfile.ZipInfo("arr_1.npy"), "w", force_zip64=True) as file:
            write_header(file, np.dtype(np.int64), (count,))
            file.write(np.concatenate(labels).astype(np.int64).tobytes())


def _rgb_bytes(images: UInt8[np.ndarray, "n c h w"]) -> bytes:
    """Return the bytes of images as [n, height, width, 3], a grey channel three times."""
    shape = (len(images), *images.shape[2:], RGB)
    rgb = np.broadcast_to(images.transpose(0, 2, 3, 1), shape)
    return np.ascontiguousarray(rgb).tobytes()


def write_png(parts: Parts, target: Path, count: int, prompts: Prompts = None) -> None:
    """A folder of 000000.png, 000001.png, … by image index.

    Prompts are in metadata.jsonl, as `datasets` reads it: `file_name` and `prompt` in each line.
    """
    target.mkdir()
    digits = max(SHORTEST_NAME, len(str(count - 1)))
    index = 0
    for images, _ in parts:
        for image in images:
            (target / f"{index:0{digits}d}.png").write_bytes(_png(image))
            index += 1
    if prompts is not None:
        rows = [
            json.dumps({"file_name": f"{number:0{digits}d}.png", "prompt": prompt})
            for number, prompt in enumerate(prompts)
        ]
        (target / "metadata.jsonl").write_text("".join(f"{row}\n" for row in rows))


def _png(image: UInt8[np.ndarray, "c h w"]) -> bytes:
    """Return the PNG file of one image."""
    from PIL import Image

    pixels = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def write_parquet(parts: Parts, target: Path, count: int, prompts: Prompts = None) -> None:
    """One file that `datasets` reads as images.

    Its columns are `image` (struct of PNG bytes and path) and `label`, the class index; and
    `prompt`, if the samples have prompts.
    """
    fields = [("image", IMAGE), ("label", pa.int64())]
    if prompts is not None:
        fields.append(("prompt", pa.string()))
    schema = described(pa.schema(fields), names=None)
    index = 0
    with parquet_writer(target, schema) as writer:
        for images, labels in parts:
            rows = []
            for image in images:
                rows.append({"bytes": _png(image), "path": f"{index:06d}.png"})
                index += 1
            columns = [pa.array(rows, IMAGE), pa.array(labels, pa.int64())]
            if prompts is not None:
                columns.append(pa.array(prompts[index - len(rows) : index], pa.string()))
            writer.write_table(pa.table(columns, schema=schema))
    assert index == count


SAMPLE_EXPORTS: dict[str, Callable[[Parts, Path, int, Prompts], None]] = {
    "npz": write_npz,
    "png": write_png,
    "parquet": write_parquet,
}
"""Writer of every format by its name; it gets the samples, the output, the number of samples and
their prompts."""


def export_samples(
    parts: Parts, form: str, output: str, count: int, prompts: Prompts = None
) -> None:
    """Write `count` samples as one file or folder, whole or not at all.

    Raises: InputError if the output exists, or there are fewer samples.
    """
    final = new_output(output)
    with write_whole(final) as temporary:
        SAMPLE_EXPORTS[form](parts, temporary, count, prompts)
