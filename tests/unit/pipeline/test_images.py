from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from otcondense.datasets import SourceConfig, list_images
from otcondense.datasets.images import load_images, manifest_images, record_images
from otcondense.errors import InputError
from otcondense.store import sha256_bytes


@pytest.fixture
def source(tmp_path):
    rng = np.random.default_rng(0)
    for name, size in (("a/1.png", (8, 8)), ("a/2.png", (16, 24)), ("b/3.png", (8, 8))):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, size, dtype=np.uint8)).save(tmp_path / name)
    return SourceConfig(path=str(tmp_path))


def manifest(source, image_ids):
    digests = [sha256_bytes(image_bytes(source, image_id)) for image_id in image_ids]
    return pa.table(
        {
            "image_id": image_ids,
            "class_index": [5] * len(image_ids),
            "sha256": digests,
            "rank": range(len(image_ids)),
        }
    )


def image_bytes(source, image_id):
    path = Path(source.path) / image_id
    return path.read_bytes() if path.exists() else b""


def test_order_and_labels_are_the_manifests(source):
    found = load_images(
        manifest_images(manifest(source, ["b/3.png", "a/1.png"]), source), source, (1, 8, 8)
    )
    assert found.image_ids == ["b/3.png", "a/1.png"]
    np.testing.assert_array_equal(found.labels, [5, 5])
    np.testing.assert_array_equal(
        found.images[1, 0], np.asarray(Image.open(f"{source.path}/a/1.png"))
    )


def test_listed_images_get_their_class_indices(source):
    found = load_images(record_images(list_images(source)), source, (3, 4, 4))
    assert found.images.shape == (3, 3, 4, 4)
    np.testing.assert_array_equal(found.labels, [0, 0, 1])
    np.testing.assert_array_equal(found.images[:, 0], found.images[:, 2])


def test_a_changed_image_is_refused(source):
    wanted = manifest_images(manifest(source, ["a/1.png"]), source)
    Image.fromarray(np.zeros((8, 8), dtype=np.uint8)).save(f"{source.path}/a/1.png")
    with pytest.raises(InputError, match=r"a/1\.png has changed since"):
        load_images(wanted, source, (1, 8, 8))


@pytest.mark.parametrize(
    ("image_id", "message"),
    [
        ("../secret.png", "relative path below"),
        ("a/absent.png", r"a/absent\.png of the subset cannot be read"),
    ],
)
def test_an_entry_that_is_not_there_is_named(source, image_id, message):
    with pytest.raises(InputError, match=message):
        load_images(manifest_images(manifest(source, [image_id]), source), source, (1, 8, 8))


def test_an_unreadable_image_and_bad_shapes_are_named(source, tmp_path):
    (tmp_path / "a/1.png").write_bytes(b"x")
    with pytest.raises(InputError, match=r"a/1\.png cannot be decoded \(not an image"):
        load_images(record_images(list_images(source)), source, (1, 8, 8))
    with pytest.raises(InputError, match=r"1 .grey. or 3 .RGB. channels"):
        load_images(record_images(list_images(source)), source, (4, 8, 8))
    with pytest.raises(InputError, match="empty list"):
        load_images([], source, (1, 8, 8))
