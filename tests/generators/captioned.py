"""The same captioned images in every kind of source, with and without labels."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.generators.containers import IMAGE, png, write_tar

CAPTIONS = ("a grey cat", "a dog; it sleeps", "einé Katze,\nschwarz", "a cat", "🐶", "<b>cat</b>")
LABELS = ("cat", "dog", "cat", "cat", "dog", "cat")

Texts = Sequence[Any]
"""A caption for each image; None for none."""


@dataclass(frozen=True)
class Layout:
    """How captioned images are stored."""

    kind: str
    captions: str
    """The setting `source.captions`."""
    write: Callable[[Path, Texts], None]


def columns(captions: Texts) -> pa.Table:
    """Return images with labels and captions as a table."""
    images = [{"bytes": picture(each), "path": f"{each}.png"} for each in range(len(captions))]
    return pa.table(
        {"image": pa.array(images, IMAGE), "label": labels(captions), "text": pa.array(captions)}
    )


def picture(number: int) -> bytes:
    """Return a small image; there are 25 different ones."""
    return png(number % 25)


def labels(captions: Texts) -> list[str]:
    """Return a label for each caption."""
    return [LABELS[number % len(LABELS)] for number in range(len(captions))]


def write_parquet(root: Path, captions: Texts) -> None:
    """Write two Parquet files."""
    table = columns(captions)
    pq.write_table(table.slice(0, 3), root / "a.parquet", row_group_size=2)
    pq.write_table(table.slice(3), root / "b.parquet")


def write_lists(root: Path, captions: Texts) -> None:
    """Write Parquet with lists of captions; the first one of each counts."""
    table = columns(captions)
    lists = pa.array([None if each is None else [each, "another"] for each in captions])
    pq.write_table(table.set_column(2, "text", lists), root / "a.parquet")


def write_saved(root: Path, captions: Texts) -> None:
    """Write what `save_to_disk` writes."""
    table = columns(captions)
    with (
        pa.OSFile(str(root / "data.arrow"), "wb") as file,
        pa.ipc.new_stream(file, table.schema) as writer,
    ):
        for batch in table.to_batches(max_chunksize=2):
            rows = pa.RecordBatch.from_pylist(batch.to_pylist(), schema=table.schema)
            writer.write_batch(rows)
    (root / "dataset_info.json").write_text("{}")


def write_tar_texts(root: Path, captions: Texts) -> None:
    """Write KEY.png, KEY.cls and KEY.txt."""
    members = {}
    for number, text in enumerate(captions):
        members[f"{number:03d}.png"] = picture(number)
        members[f"{number:03d}.cls"] = labels(captions)[number].encode()
        if text is not None:
            members[f"{number:03d}.txt"] = as_bytes(text)
    write_tar(root / "shard.tar", members)


def write_tar_json(root: Path, captions: Texts) -> None:
    """Write KEY.png and KEY.json with label and caption."""
    members = {}
    for number, text in enumerate(captions):
        members[f"{number:03d}.png"] = picture(number)
        value = {"label": labels(captions)[number], "text": text}
        members[f"{number:03d}.json"] = json.dumps(value).encode()
    write_tar(root / "shard.tar", members)


def write_images(root: Path, captions: Texts) -> list[str]:
    """Write CLASS/NUMBER.png."""
    names = []
    for number, label in enumerate(labels(captions)):
        path = root / label / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(picture(number))
        names.append(f"{label}/{number}.png")
    return names


def write_texts(root: Path, captions: Texts) -> None:
    """Write NUMBER.txt next to each image."""
    for name, text in zip(write_images(root, captions), captions, strict=True):
        if text is not None:
            (root / name).with_suffix(".txt").write_bytes(as_bytes(text))


def write_jsonl(root: Path, captions: Texts) -> None:
    """Write metadata.jsonl in the folder of the images."""
    names = write_images(root, captions)
    lines = [
        json.dumps({"file_name": name, "text": text})
        for name, text in zip(names, captions, strict=True)
    ]
    (root / "metadata.jsonl").write_text("\n".join(lines))


def write_csv(root: Path, captions: Texts) -> None:
    """Write metadata.csv in each folder of images."""
    names = write_images(root, captions)
    for label in set(labels(captions)):
        lines = ["file_name,text"]
        for name, text in zip(names, captions, strict=True):
            if name.startswith(f"{label}/"):
                lines.append(f"{name.partition('/')[2]},{quoted(text)}")
        (root / label / "metadata.csv").write_text("\n".join(lines))


def write_list(suffix: str) -> Callable[[Path, Texts], None]:
    """Return what writes a list of images, as CSV, TSV or JSONL."""

    def write(root: Path, captions: Texts) -> None:
        names = write_images(root, captions)
        if suffix == "jsonl":
            rows = zip(names, labels(captions), captions, strict=True)
            lines = [json.dumps({"path": a, "label": b, "text": c}) for a, b, c in rows]
        else:
            mark = "\t" if suffix == "tsv" else ","
            lines = [mark.join(["path", "label", "text"])]
            for name, label, text in zip(names, labels(captions), captions, strict=True):
                lines.append(mark.join([name, label, quoted(text)]))
        (root / f"list.{suffix}").write_text("\n".join(lines))

    return write


def write_features(root: Path, captions: Texts) -> None:
    """Write features in Parquet."""
    rows = np.random.default_rng(0).normal(size=(len(captions), 3)).astype(np.float32)
    table = columns(captions).drop_columns("image")
    pq.write_table(table.append_column("features", [rows.tolist()]), root / "a.parquet")


def write_arrays(root: Path, captions: Texts) -> None:
    """Write features, labels and captions as npy files."""
    rows = np.random.default_rng(0).normal(size=(len(captions), 3)).astype(np.float32)
    np.save(root / "features.npy", rows)
    np.save(root / "labels.npy", np.array(labels(captions)))
    np.save(root / "text.npy", np.array(["" if each is None else each for each in captions]))


def as_bytes(text: str | bytes) -> bytes:
    """Return the content of a text file."""
    return text if isinstance(text, bytes) else text.encode()


def quoted(text: str | None) -> str:
    """Return a cell of a CSV file."""
    return "" if text is None else '"' + text.replace('"', '""') + '"'


LAYOUTS = {
    "parquet": Layout("parquet", "text", write_parquet),
    "parquet of lists": Layout("parquet", "text", write_lists),
    "hf": Layout("hf", "text", write_saved),
    "webdataset txt": Layout("webdataset", "txt", write_tar_texts),
    "webdataset json": Layout("webdataset", "json:text", write_tar_json),
    "image_folder txt": Layout("image_folder", "txt", write_texts),
    "image_folder jsonl": Layout("image_folder", "metadata.jsonl", write_jsonl),
    "image_folder csv": Layout("image_folder", "metadata.csv:text", write_csv),
    "one_class txt": Layout("one_class", "txt", write_texts),
    "one_class jsonl": Layout("one_class", "metadata.jsonl:text", write_jsonl),
    "manifest csv": Layout("manifest", "text", write_list("csv")),
    "manifest tsv": Layout("manifest", "text", write_list("tsv")),
    "manifest jsonl": Layout("manifest", "text", write_list("jsonl")),
    "features": Layout("features", "text", write_features),
    "features npy": Layout("features", "text", write_arrays),
}
"""Every place where captions can be, by its name in tests."""
