"""Every kind of file that a user can give, with what reads it on its way in."""

import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import timm
import torch
import yaml
from safetensors.torch import save_file

from jobs.command.settings import build, load_config, read_values
from jobs.command.yaml_files import read_yaml
from jobs.compare.config import CompareConfig
from jobs.convert.command import read_class_names
from jobs.measure.config import MeasureConfig
from jobs.measure.image_sets import iterate_images
from jobs.run_directory.id_lists import read_ids
from jobs.trials.config import SweepConfig
from otcondense.checkpoints import PublicModel, from_public, read_public, to_public
from otcondense.datasets import (
    GlyphConfig,
    SourceConfig,
    UnreadableImageError,
    decode_image,
    list_images,
    read_features,
    read_image_bytes,
    scan_images,
    write_glyphs,
)
from otcondense.diffusion.model import ModelConfig, build_model
from otcondense.encoders import EncoderConfig, load_encoder
from otcondense.encoders.encoder import weights_sha256
from otcondense.evaluation import npz_images, read_reference
from otcondense.fetched import read_tensors
from otcondense.representations import TextConfig
from otcondense.representations.tables import text_fingerprint
from tests.generators.containers import (
    png,
    write_manifest,
    write_parquet,
    write_path_parquet,
    write_saved,
    write_shards,
)

DEMO = Path("jobs/configs/demo.yaml")


@dataclass(frozen=True)
class Kind:
    """A kind of file."""

    write: Callable[[Path], Path]
    """Writes a valid one, and what belongs to it, below a folder; returns the file."""
    read: Callable[[Path], Any]
    """Reads the file as the way in does."""


def source(kind: str, root: Path, **settings: Any) -> SourceConfig:
    return SourceConfig(path=str(root), kind=kind, **settings)


def use(config: SourceConfig) -> list[bytes]:
    """List a source and read its images, as the extraction does."""
    contents = []
    for record in list_images(config):
        with suppress(OSError, UnreadableImageError):
            contents.append(read_image_bytes(record.path))
            decode_image(contents[-1], channels=3, max_pixels=10**6)
    return contents


def images_of(kind: str, depth: int = 1, **settings: Any) -> Callable[[Path], Any]:
    """Read the source that a file is part of; `depth` folders above the file is its root."""
    return lambda file: use(source(kind, file.parents[depth - 1], **settings))


def features_of(file: Path) -> Any:
    config = source("features", file.parent)
    listing = scan_images(config)
    return read_features(config, listing, np.arange(len(listing)))


def write_npy(root: Path) -> None:
    root.mkdir(parents=True, exist_ok=True)
    np.save(root / "features.npy", np.eye(6, 3, dtype=np.float32))
    np.save(root / "labels.npy", np.array(["cat", "dog"] * 3))
    np.save(root / "ids.npy", np.array([f"i/{row}" for row in range(6)]))


def npy(name: str) -> Callable[[Path], Path]:
    def write(root: Path) -> Path:
        write_npy(root)
        return root / f"{name}.npy"

    return write


def id_parquet(root: Path) -> Path:
    pq.write_table(pa.table({"image_id": ["a/1.png", "a/2.png"]}), root / "l.parquet")
    return root / "l.parquet"


def feature_parquet(root: Path) -> Path:
    table = pa.table({"features": np.eye(6, 3).tolist(), "label": ["cat", "dog"] * 3})
    pq.write_table(table, root / "f.parquet")
    return root / "f.parquet"


def folder(root: Path) -> Path:
    for name in ("cat", "dog"):
        (root / "images" / name).mkdir(parents=True)
        (root / "images" / name / "0.png").write_bytes(png(1))
    return root / "images" / "cat" / "0.png"


def class_names(root: Path) -> Path:
    folder(root)
    (root / "names.txt").write_text("ant\ncat\ndog\n")
    return root / "names.txt"


def written(content: str | bytes, name: str = "file") -> Callable[[Path], Path]:
    def write(root: Path) -> Path:
        data = content.encode() if isinstance(content, str) else content
        (root / name).write_bytes(data)
        return root / name

    return write


def base(root: Path) -> Path:
    shutil.copy(DEMO, root / "base.yaml")
    (root / "run.yaml").write_text("base: base.yaml\nrun: elsewhere\n")
    return root / "base.yaml"


def encoder_config(weights: Path) -> EncoderConfig:
    return EncoderConfig(name="test_resnet", weights=str(weights), num_classes=3, device="cpu")


def encoder_weights(root: Path) -> Path:
    model = timm.create_model("test_resnet", pretrained=False, num_classes=3)
    save_file(model.state_dict(), root / "w.safetensors")
    return root / "w.safetensors"


def public_state() -> dict[str, torch.Tensor]:
    config = ModelConfig(name="SiT-demo/2", width=16, depth=1, num_heads=2)
    return to_public(build_model(config, 3, (1, 8, 8)))


def public(suffix: str) -> Callable[[Path], Path]:
    def write(root: Path) -> Path:
        path = root / f"model{suffix}"
        if suffix == ".pt":
            torch.save({"ema": public_state()}, path)
        else:
            save_file(public_state(), path)
        return path

    return write


def pickled_weights(root: Path) -> Path:
    torch.save({"weight": torch.arange(30.0)}, root / "w.pth")
    return root / "w.pth"


def npz(**arrays: np.ndarray) -> Callable[[Path], Path]:
    def write(root: Path) -> Path:
        np.savez_compressed(root / "a.npz", **arrays)
        return root / "a.npz"

    return write


def image_parquet(root: Path) -> Path:
    cells = [{"bytes": png(number), "path": "x"} for number in range(5)]
    pq.write_table(pa.table({"image": cells}), root / "a.parquet")
    return root / "a.parquet"


GLYPHS = GlyphConfig(letters="A", size=8, train_images=2, held_out_images=2)


def glyphs(root: Path) -> Path:
    write_glyphs(root / "glyphs", GLYPHS)
    return root / "glyphs" / "glyphs.json"


def sweep() -> str:
    return yaml.safe_dump(
        {"name": "s", "metric": "coverage", "space": {"selection.budget": [1, 2]}}
    )


MEASURE = "samples: a.npz\nagainst: b.npz\n"

KINDS: dict[str, Kind] = {
    "configuration": Kind(written(DEMO.read_text()), lambda file: load_config(str(file), [])),
    "base": Kind(base, lambda file: load_config(str(file.parent / "run.yaml"), [])),
    "sweep": Kind(
        written(sweep()), lambda file: build(SweepConfig, read_yaml(str(file), "sweep"), str(file))
    ),
    "comparison": Kind(
        written("budgets: [1, 2]\nseeds: [0]\n"),
        lambda file: build(CompareConfig, read_yaml(str(file), "comparison"), str(file)),
    ),
    "measure": Kind(
        written(MEASURE),
        lambda file: build(MeasureConfig, read_values(str(file), [], "settings"), str(file)),
    ),
    "class names": Kind(
        class_names,
        lambda file: use(source("image_folder", file.parent / "images", class_names=str(file))),
    ),
    "readable names": Kind(
        written('{"cat": "a cat", "dog": "a dog"}', "n.json"),
        lambda file: text_fingerprint(TextConfig(names=str(file)), "0" * 64, {0: "cat", 1: "dog"}),
    ),
    "names for diffusers": Kind(
        written('{"0": "tench"}'), lambda file: read_class_names(str(file))
    ),
    "image": Kind(folder, images_of("image_folder", 2)),
    "tar, cls": Kind(
        lambda root: write_shards(root / "d", "cls") / "shard-0.tar", images_of("webdataset")
    ),
    "tar, json": Kind(
        lambda root: write_shards(root / "d", "json") / "shard-0.tar", images_of("webdataset")
    ),
    "tar, folders": Kind(
        lambda root: write_shards(root / "d", "folder") / "shard-0.tar", images_of("webdataset")
    ),
    "parquet": Kind(
        lambda root: write_parquet(root / "d") / "train-0.parquet", images_of("parquet")
    ),
    "parquet with ids": Kind(
        lambda root: write_parquet(root / "d") / "train-0.parquet",
        images_of("parquet", id_column="key"),
    ),
    "csv": Kind(lambda root: write_manifest(root / "d") / "index.csv", images_of("manifest")),
    "jsonl": Kind(
        lambda root: write_manifest(root / "d", ".jsonl") / "index.jsonl", images_of("manifest")
    ),
    "parquet of paths": Kind(
        lambda root: write_path_parquet(root / "d") / "index.parquet", images_of("parquet")
    ),
    "arrow": Kind(
        lambda root: write_saved(root / "d") / "data-00000-of-00002.arrow", images_of("hf")
    ),
    "arrow with ids": Kind(
        lambda root: write_saved(root / "d") / "data-00000-of-00002.arrow",
        images_of("hf", id_column="key"),
    ),
    "arrow's description": Kind(
        lambda root: write_saved(root / "d") / "dataset_info.json", images_of("hf")
    ),
    "features.npy": Kind(npy("features"), features_of),
    "labels.npy": Kind(npy("labels"), features_of),
    "ids.npy": Kind(npy("ids"), features_of),
    "features in parquet": Kind(feature_parquet, features_of),
    "weights": Kind(encoder_weights, lambda file: load_encoder(encoder_config(file))),
    "digest of weights": Kind(encoder_weights, lambda file: weights_sha256(encoder_config(file))),
    "pickled weights": Kind(pickled_weights, read_tensors),
    "public .pt": Kind(
        public(".pt"), lambda file: from_public(read_public(str(file)), PublicModel("SiT", 2))
    ),
    "public .safetensors": Kind(
        public(".safetensors"),
        lambda file: from_public(read_public(str(file)), PublicModel("SiT", 2)),
    ),
    "samples.npz": Kind(
        npz(arr_0=np.zeros((4, 8, 8, 3), np.uint8)), lambda file: list(npz_images(str(file)))
    ),
    "reference.npz": Kind(
        npz(mu=np.zeros(5), sigma=np.eye(5)), lambda file: read_reference(str(file))
    ),
    "images in parquet": Kind(image_parquet, lambda file: list(iterate_images(str(file)))),
    "list in json": Kind(
        written('{"samples": [{"filepath": "a.png", "tags": ["bad"]}]}', "l.json"),
        lambda file: read_ids(f"{file}#bad", "exclude"),
    ),
    "list in csv": Kind(
        written('filename,out\n"a.png",true\n', "l.csv"),
        lambda file: read_ids(f"{file}#out", "exclude"),
    ),
    "list in parquet": Kind(id_parquet, lambda file: read_ids(str(file), "exclude")),
    "marker of the glyphs": Kind(glyphs, lambda file: write_glyphs(file.parent, GLYPHS)),
}
