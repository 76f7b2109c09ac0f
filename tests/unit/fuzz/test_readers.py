"""Files of any content: read as written, or refused with an InputError.

There is never another exception, and never more memory than the size of the file explains.
"""

import io
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from otcondense.datasets.decoding import UnreadableImageError, decode_image
from otcondense.diffusion import TrainingConfig
from otcondense.diffusion.checkpoint import load_model, save_model
from otcondense.diffusion.loss_lines import LossLine, curve_text
from otcondense.diffusion.model import build_model
from otcondense.errors import InputError
from otcondense.evaluation import npz_images, read_reference
from otcondense.report import LossPoint
from otcondense.store import (
    ClassSelection,
    Store,
    class_file,
    manifest_table,
    read_class_features,
    read_class_selection,
    read_manifest,
    read_progress,
    selection_file,
    write_class_features,
    write_class_selection,
    write_table,
)
from otcondense.store.images import read_images, write_images
from tests.generators.page_runs import class_features

MEMORY = 64 * 2**20
Damage = tuple[float, int, bytes, bool]
damages: st.SearchStrategy[Damage] = st.tuples(
    st.floats(0, 1), st.integers(0, 64), st.binary(max_size=16), st.booleans()
)


def damaged(content: bytes, damage: Damage) -> bytes:
    """Replace some bytes by others, or cut the file off there."""
    place, removed, added, is_cut = damage
    start = int(place * len(content))
    return content[:start] + added + (b"" if is_cut else content[start + removed :])


def written(root: Path) -> dict[str, tuple[str, Callable[[Store], Any]]]:
    """Write one file of each kind; returns its name and its reader."""
    store = Store(str(root))
    features = class_features("c", 0, [f"{number:02d}" for number in range(9)])
    write_class_features(store, "features", features, fingerprint="f")
    selection = ClassSelection(
        "c",
        0,
        features.image_ids,
        np.array([1, 4]),
        np.full(9, 1 / 9),
        np.full(9, 1),
        None,
        features.sha256,
        np.arange(2),
        np.ones(2),
    )
    write_class_selection(store, "selection", selection, fingerprint="f")
    write_table(store, "subset.parquet", manifest_table([selection]), fingerprint="f")
    write_images(
        store, "images.parquet", np.zeros((3, 1, 8, 8), np.uint8), np.arange(3), fingerprint="f"
    )
    config = TrainingConfig(model={"name": "SiT-demo/2", "width": 16, "depth": 1, "num_heads": 2})
    save_model(store, "model", build_model(config.model, 3, (1, 8, 8)), config.model)
    np.savez(root / "samples.npz", np.zeros((4, 8, 8, 3), np.uint8))
    np.savez(root / "reference.npz", mu=np.zeros(5), sigma=np.eye(5))
    store.write_bytes(
        "logs/progress/s.json", b'{"stage":"s","title":"s","unit":"class","done":1,"total":2}'
    )
    store.write_bytes("curve.jsonl", curve_text([LossLine(1, 0.5, 0.1)] * 3))
    return {
        "features": (
            class_file("features", "c"),
            lambda store: read_class_features(store, "features", "c"),
        ),
        "selection": (
            selection_file("selection", "c"),
            lambda store: read_class_selection(store, "selection", "c"),
        ),
        "manifest": ("subset.parquet", lambda store: read_manifest(store, "subset.parquet")),
        "images": ("images.parquet", lambda store: read_images(store, "images.parquet")),
        "weights": ("model/ema.safetensors", lambda store: load_model(store, "model")),
        "state": ("model/state.json", lambda store: load_model(store, "model")),
        "samples": ("samples.npz", lambda store: list(npz_images(store.path("samples.npz")))),
        "reference": ("reference.npz", lambda store: read_reference(store.path("reference.npz"))),
        "progress": (
            "logs/progress/s.json",
            lambda store: read_progress(store, "logs/progress/s.json"),
        ),
        "curve": ("curve.jsonl", lambda store: store.read_lines("curve.jsonl", LossPoint)),
    }


@pytest.fixture(scope="module")
def files(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, dict[str, tuple[str, Callable[[Store], Any]]]]:
    root = tmp_path_factory.mktemp("files")
    return root, written(root)


CHECKED = ("features", "selection", "manifest", "images", "weights", "state")
"""Files with a digest: they are refused, or read as before.

Bytes that no reader uses may differ; `otcondense verify` compares bytes.
"""


def plain(value: Any) -> Any:
    """Everything that a reader returned, as values that can be compared."""
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, torch.nn.Module):
        return {name: plain(tensor.numpy()) for name, tensor in value.state_dict().items()}
    if isinstance(value, pa.Table):
        return repr(value.to_pylist())
    if is_dataclass(value):
        return {name: plain(each) for name, each in vars(value).items()}
    return [plain(each) for each in value] if isinstance(value, tuple | list) else repr(value)


@pytest.mark.parametrize("kind", [*CHECKED, "samples", "reference", "progress", "curve"])
@settings(max_examples=150)
@given(damage=damages)
def test_a_damaged_file_is_refused_or_read(files, kind: str, damage: Damage) -> None:
    root, known = files
    name, read = known[kind]
    content, before = (root / name).read_bytes(), plain(read(Store(str(root))))
    try:
        (root / name).write_bytes(damaged(content, damage))
        after = plain(read(Store(str(root))))
    except InputError:
        return
    finally:
        (root / name).write_bytes(content)
    assert after == before or kind not in CHECKED


@pytest.mark.parametrize("kind", ["features", "selection", "images"])
def test_one_changed_byte_in_the_metadata_of_a_table_is_found_or_harmless(files, kind: str) -> None:
    """Metadata: the summary of a selection, the type of an array."""
    root, known = files
    name, read = known[kind]
    content, before = (root / name).read_bytes(), plain(read(Store(str(root))))
    start = len(content) - int.from_bytes(content[-8:-4], "little") - 8
    try:
        for place in range(start, len(content), 7):
            (root / name).write_bytes(
                content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
            )
            with suppress(InputError):
                assert plain(read(Store(str(root)))) == before, place
    finally:
        (root / name).write_bytes(content)


@pytest.mark.parametrize("kind", CHECKED)
@settings(max_examples=50)
@given(content=st.binary(max_size=400))
def test_a_file_of_anything_is_refused(files, kind: str, content: bytes) -> None:
    root, known = files
    name, read = known[kind]
    kept = (root / name).read_bytes()
    try:
        (root / name).write_bytes(content)
        with pytest.raises(InputError):
            read(Store(str(root)))
    finally:
        (root / name).write_bytes(kept)


def header_of(shape: tuple[int, ...], dtype: str = "|u1") -> bytes:
    """An .npy file that claims a shape and holds nothing."""
    sink = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        sink, {"descr": dtype, "fortran_order": False, "shape": shape}
    )
    return sink.getvalue()


@pytest.mark.parametrize("shape", [(1, 2**20, 2**20, 3), (2**62, 8, 8, 3), (1, 2**40, 2**40, 3)])
def test_an_npz_that_claims_more_than_it_holds(tmp_path: Path, shape: tuple[int, ...]) -> None:
    import zipfile

    path = tmp_path / "huge.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("arr_0.npy", header_of(shape))
        archive.writestr("mu.npy", header_of((2**40,), "<f8"))
        archive.writestr("sigma.npy", header_of((2**20, 2**20), "<f8"))
    tracemalloc.start()
    with pytest.raises(InputError):
        list(npz_images(str(path)))
    with pytest.raises(InputError):
        read_reference(str(path))
    assert tracemalloc.get_traced_memory()[1] < MEMORY
    tracemalloc.stop()


def encoded(form: str) -> bytes:
    image = Image.fromarray(np.arange(32 * 32 * 3, dtype=np.uint8).reshape(32, 32, 3))
    sink = io.BytesIO()
    image.save(sink, form)
    return sink.getvalue()


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"])
@settings(max_examples=150)
@given(damage=damages)
def test_a_damaged_image_is_refused_or_decoded(form: str, damage: Damage) -> None:
    try:
        image = decode_image(damaged(encoded(form), damage), channels=3, max_pixels=10**6)
    except UnreadableImageError:
        return
    assert image.mode == "RGB"
    assert image.width * image.height <= 10**6


@pytest.mark.parametrize("side", [60_000, 2**31 - 1])
def test_an_image_that_claims_to_be_huge_takes_no_memory(side: int) -> None:
    import struct
    import zlib

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunk = (
        struct.pack(">I", len(header))
        + b"IHDR"
        + header
        + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    )
    tracemalloc.start()
    with pytest.raises(UnreadableImageError):
        decode_image(b"\x89PNG\r\n\x1a\n" + chunk, channels=3, max_pixels=10**8)
    assert tracemalloc.get_traced_memory()[1] < MEMORY
    tracemalloc.stop()


@settings(max_examples=60)
@given(
    rows=st.integers(0, 5),
    names=st.lists(st.sampled_from(["image_id", "class_name", "rank", "x"]), unique=True),
)
def test_other_tables_are_refused(
    tmp_path_factory: pytest.TempPathFactory, rows: int, names: list[str]
) -> None:
    """Tables with valid digests and other columns than their reader expects."""
    store = Store(str(tmp_path_factory.mktemp("tables")))
    table = pa.table(
        {name: pa.array(["x"] * rows, pa.string()) for name in names}
        or {"y": pa.array([1] * rows, pa.int64())}
    )
    for name, read in (("subset.parquet", read_manifest), ("images.parquet", read_images)):
        write_table(store, name, table, fingerprint="f")
        with pytest.raises(InputError):
            read(store, name)


def test_weights_are_never_unpickled(tmp_path: Path) -> None:
    """A pickle in place of weights is refused; nothing in it runs."""

    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "ran",))

    store = Store(str(tmp_path))
    config = TrainingConfig(model={"name": "SiT-demo/2", "width": 16, "depth": 1, "num_heads": 2})
    save_model(store, "model", build_model(config.model, 3, (1, 8, 8)), config.model)
    torch.save(Trap(), tmp_path / "model" / "ema.safetensors")
    with pytest.raises(InputError):
        load_model(store, "model")
    assert not (tmp_path / "ran").exists()
