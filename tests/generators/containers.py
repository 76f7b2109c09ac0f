"""The same labelled images in every container."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

LABELS = ("cat", "dog", "cat", "emu", "dog", "cat")
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def png(number: int) -> bytes:
    sink = io.BytesIO()
    Image.fromarray(np.full((3, 4), 10 * number, dtype=np.uint8)).save(sink, "PNG")
    return sink.getvalue()


def described(schema: pa.Schema, names: tuple[str, ...]) -> pa.Schema:
    """Add what the `datasets` library writes into a schema."""
    info = {
        "info": {
            "features": {
                "image": {"_type": "Image"},
                "label": {"names": list(names), "_type": "ClassLabel"},
            }
        }
    }
    return schema.with_metadata({"huggingface": json.dumps(info)})


def table(labels=LABELS, image=IMAGE, names=None) -> pa.Table:
    rows = [png(number) for number in range(len(labels))]
    values = (
        [{"bytes": data, "path": f"{n}.png"} for n, data in enumerate(rows)]
        if pa.types.is_struct(image)
        else rows
    )
    columns = pa.table(
        {
            "label": pa.array(labels),
            "image": pa.array(values, image),
            "key": [f"k/{n}" for n in range(len(labels))],
        }
    )
    return columns if names is None else columns.cast(described(columns.schema, names))


def write_parquet(root: Path, columns: pa.Table | None = None) -> Path:
    columns = table() if columns is None else columns
    root.mkdir(exist_ok=True)
    pq.write_table(columns.slice(0, 4), root / "train-0.parquet", row_group_size=3)
    pq.write_table(columns.slice(4), root / "train-1.parquet")
    return root


def write_path_parquet(root: Path) -> Path:
    (root / "files").mkdir(parents=True)
    for number in range(len(LABELS)):
        (root / "files" / f"ü {number}.png").write_bytes(png(number))
    names = [f"files/ü {number}.png" for number in range(len(LABELS))]
    pq.write_table(pa.table({"image": names, "label": list(LABELS)}), root / "index.parquet")
    return root


def write_manifest(root: Path, suffix: str = ".csv") -> Path:
    write_path_parquet(root)
    (root / "index.parquet").unlink()
    rows = [(f"files/ü {number}.png", label) for number, label in enumerate(LABELS)]
    if suffix == ".csv":
        lines = ["path,label", *(f'"{path}",{label}' for path, label in rows)]
    else:
        lines = [json.dumps({"path": path, "label": label}) for path, label in rows]
    (root / f"index{suffix}").write_text("\n".join(lines))
    return root


def write_tar(path: Path, members: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def write_shards(root: Path, style: str) -> Path:
    for shard, numbers in enumerate((range(4), range(4, 6))):
        members = {}
        for number in numbers:
            key = f"{LABELS[number]}/{number:03d}" if style == "folder" else f"{number:03d}"
            members[f"{key}.png"] = png(number)
            if style == "cls":
                members[f"{key}.cls"] = LABELS[number].encode()
            if style == "json":
                members[f"{key}.json"] = json.dumps(
                    {"label": LABELS[number], "caption": "x"}
                ).encode()
        write_tar(root / f"shard-{shard}.tar", members)
    return root


def write_saved(root: Path, image=IMAGE, labels=(0, 1, 0, 2, 1, 0)) -> Path:
    """Write what `datasets.Dataset.save_to_disk` writes."""
    root.mkdir(parents=True)
    columns = table(labels, image, ("cat", "dog", "emu"))
    for part, rows in enumerate((columns.slice(0, 4), columns.slice(4))):
        with (
            pa.OSFile(str(root / f"data-0000{part}-of-00002.arrow"), "wb") as file,
            pa.ipc.new_stream(file, rows.schema) as writer,
        ):
            for batch in rows.combine_chunks().to_batches(max_chunksize=2):
                writer.write_batch(
                    pa.RecordBatch.from_pylist(batch.to_pylist(), schema=rows.schema)
                )
    features = {"label": {"names": ["cat", "dog", "emu"], "_type": "ClassLabel"}}
    (root / "dataset_info.json").write_text(json.dumps({"features": features}))
    (root / "state.json").write_text("{}")
    return root
