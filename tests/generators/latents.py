"""A subset with random latents, tokens and text, in the files that the verbs write."""

import numpy as np
import pyarrow as pa

from otcondense.diffusion.inputs import Inputs
from otcondense.store import (
    MANIFEST_COLUMNS,
    Store,
    array_column,
    array_field,
    class_file,
    write_table,
)

SCALE = 0.5
SHIFT = 0.25


def image_rows(classes=3, per_class=4):
    """Return ID, class name, class index and SHA-256 of the chosen images."""
    return [
        (f"c{index}/{number}.png", f"c{index}", index, f"{index}{number}" * 32)
        for index in range(classes)
        for number in range(per_class)
    ]


def write_arrays(store: Store, directory: str, rows, arrays, **metadata) -> None:
    """Write the file of one class: arrays [n, 2, ...], the image and its mirror image.

    Captions are [n, 1, ...]: they have no mirror image.
    """
    (orientations,) = {values.shape[1] for values in arrays.values()}
    turned = (False, True)[:orientations]
    keys = [(row[0], flipped, row[3]) for row in rows for flipped in turned]
    fields = [
        pa.field("image_id", pa.string()),
        pa.field("flipped", pa.bool_()),
        pa.field("sha256", pa.string()),
    ]
    columns = [
        pa.array(values, field.type)
        for values, field in zip(zip(*keys, strict=True), fields, strict=True)
    ]
    flat = {name: values.reshape(-1, *values.shape[2:]) for name, values in arrays.items()}
    fields += [array_field(name, values) for name, values in flat.items()]
    columns += [array_column(values) for values in flat.values()]
    table = pa.Table.from_arrays(columns, schema=pa.schema(fields))
    write_table(
        store,
        class_file(directory, rows[0][1]),
        table,
        fingerprint="x",
        class_name=rows[0][1],
        weights_sha256="w",
        **metadata,
    )


def write_subset(store: Store, latent_shape=(4, 4, 4), tokens=(4, 6), rows=None) -> Inputs:
    """Write a manifest, and the latents, tokens and text of its images."""
    rows = rows or image_rows()
    rng = np.random.default_rng(0)
    empty = {name: [0] * len(rows) for name in MANIFEST_COLUMNS}
    named = dict(
        zip(
            ("image_id", "class_name", "class_index", "sha256"),
            map(list, zip(*rows, strict=True)),
            strict=True,
        )
    )
    write_table(store, "subset.parquet", pa.table({**empty, **named}), fingerprint="subset")
    for name in sorted({row[1] for row in rows}):
        own = [row for row in rows if row[1] == name]
        mean = rng.normal(size=(len(own), 2, *latent_shape)).astype(np.float16)
        std = rng.uniform(0.1, 0.2, size=mean.shape).astype(np.float16)
        write_arrays(
            store,
            "latents/x",
            own,
            {"mean": mean, "std": std},
            scaling_factor=SCALE,
            shift_factor=SHIFT,
        )
        write_arrays(
            store,
            "tokens/x",
            own,
            {"tokens": rng.normal(size=(len(own), 2, *tokens)).astype(np.float16)},
        )
    write_text(store, len({row[1] for row in rows}))
    return Inputs(
        manifest="subset.parquet",
        latents="latents/x",
        tokens="tokens/x",
        text="text/x/embeddings.parquet",
    )


def write_captions(store: Store, rows=None, tokens=(3, 5)) -> str:
    """Write the embeddings of captions, and of no caption; returns their directory."""
    rows = rows or image_rows()
    rng = np.random.default_rng(2)
    for name in sorted({row[1] for row in rows}):
        own = [row for row in rows if row[1] == name]
        values = rng.normal(size=(len(own), 1, *tokens)).astype(np.float16)
        write_arrays(store, "text/y", own, {"embedding": values})
    table = pa.Table.from_arrays(
        [array_column(np.ones((1, *tokens), np.float16))],
        schema=pa.schema([array_field("embedding", np.ones((1, *tokens), np.float16))]),
    )
    write_table(store, "text/y/no_caption.parquet", table, fingerprint="x", weights_sha256="w")
    return "text/y"


def write_text(store: Store, classes: int, tokens=(3, 5)) -> None:
    """Write text embeddings of every class; the last token of each is padding."""
    values = np.random.default_rng(1).normal(size=(classes, *tokens)).astype(np.float16)
    mask = np.ones((classes, tokens[0]), np.uint8)
    mask[:, -1] = 0
    fields = [
        pa.field("class_index", pa.int32()),
        array_field("tokens", values),
        array_field("mask", mask),
    ]
    columns = [pa.array(range(classes), pa.int32()), array_column(values), array_column(mask)]
    write_table(
        store,
        "text/x/embeddings.parquet",
        pa.Table.from_arrays(columns, schema=pa.schema(fields)),
        fingerprint="x",
    )
