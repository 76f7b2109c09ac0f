"""A run and its source on S3: a server of moto on this machine, all in this process."""

from collections.abc import Iterator

import pytest
import torch

from jobs.command.settings import load_config
from jobs.extract_features.stage import extract
from jobs.run_directory.opening import read_run, working_run
from jobs.run_directory.run import Run
from jobs.verify.command import verify
from otcondense.diffusion import ModelConfig, TrainingConfig, create_state
from otcondense.diffusion.checkpoint import load_model, restore_state, save_checkpoint
from otcondense.diffusion.checkpoint_files import is_complete
from otcondense.diffusion.checkpoint_state import DamagedCheckpointError, open_checkpoint
from otcondense.store import Store, read_class_features
from tests.generators.object_store import put_images, s3_bucket
from tests.generators.weights import write_timm

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # botocore's and moto's own
CLASSES, IMAGES = ("a", "ö"), 3


@pytest.fixture(scope="module")
def client() -> Iterator:
    """A bucket on a server that listens on loopback, found by fsspec through the environment."""
    with s3_bucket() as (found, _):
        yield found


@pytest.fixture(scope="module")
def config(client, tmp_path_factory):
    """A configuration whose images and run are on S3."""
    root = tmp_path_factory.mktemp("s3")
    put_images(client, CLASSES, IMAGES)
    write_timm(root / "e.safetensors", "test_byobnet", num_classes=2, in_chans=1)
    encoder = {
        "name": "test_byobnet",
        "weights": str(root / "e.safetensors"),
        "image_size": 32,
        "in_chans": 1,
        "num_classes": 2,
    }
    path = root / "c.yaml"
    path.write_text(
        f"run: s3://bucket/run\nsource: {{path: 's3://bucket/images'}}\nencoder: {encoder}\n"
        "extraction: {num_encoders: 0}\nselection: {budget: 1, methods: [random]}\n"
    )
    return load_config(str(path), ["encoder.batch_size=2", "encoder.device=cpu"])


def test_extraction_and_verification_on_s3(client, config):
    with working_run(config, may_start=True) as run:
        extract(run)
        directory = run.features_directory(config.encoder)
        assert read_class_features(run.store, directory, "ö").image_ids == [
            f"ö/{number}.png" for number in range(IMAGES)
        ]
    again = read_run("s3://bucket/run")
    assert verify(again) == []
    name = f"{directory}/class_name=a/part-0.parquet"
    data = again.store.read_bytes(name)
    Store("s3://bucket/run").write_bytes(name, data[:-20])
    assert [problem.file for problem in verify(Run(config))] == [name]
    with working_run(config, may_start=True) as run:
        extract(run)
        assert run.store.read_bytes(name) == data


def test_a_file_is_one_put_under_its_final_name(client, monkeypatch):
    import s3fs

    calls = []
    original = s3fs.S3FileSystem._call_s3

    async def recorded(self, method, *args, **kwargs):
        calls.append((method, kwargs.get("Key")))
        return await original(self, method, *args, **kwargs)

    monkeypatch.setattr(s3fs.S3FileSystem, "_call_s3", recorded)
    Store("s3://bucket/puts").write_bytes("x/data", bytes(100_000))
    writes = [
        call
        for call in calls
        if call[0].startswith(("put", "create", "upload", "complete", "copy"))
    ]
    assert writes == [("put_object", "puts/x/data")]
    assert client.get_object(Bucket="bucket", Key="puts/x/data")["ContentLength"] == 100_000


def fail_to_write(store: Store, name: str, data: bytes) -> None:
    with store.writing(name) as file:
        file.write(data)
        raise ConnectionError


def test_an_upload_that_fails_leaves_the_old_file(client, monkeypatch):
    """Also a multipart one: the first parts are on the server when it fails."""
    store = Store("s3://bucket/parts")
    part = bytes(5 * 2**20)
    monkeypatch.setattr("otcondense.store.files.REMOTE_PART_BYTES", len(part))
    with store.writing("a.bin") as file:
        file.write(part)
        file.write(b"end")
    assert store.size("a.bin") == len(part) + 3
    for data in (b"x", part * 2):
        with pytest.raises(ConnectionError):
            fail_to_write(store, "a.bin", data)
    assert store.size("a.bin") == len(part) + 3
    assert "Uploads" not in client.list_multipart_uploads(Bucket="bucket")


def test_a_checkpoint_on_s3(client):
    """It is known when it was written, and damage is found when it is used."""
    store = Store("s3://bucket/run")
    model = ModelConfig(width=16, depth=1, num_heads=2)
    config = TrainingConfig(model=model, num_workers=1)
    state = create_state(config, 3, (1, 8, 8))
    place = save_checkpoint(store, "training/run", state, fingerprint="f").directory
    assert is_complete(store, "training/run", 0, "f")
    other = create_state(config.model_copy(update={"seed": 1}), 3, (1, 8, 8))
    other.config = config
    restore_state(store, open_checkpoint(store, place), other, fingerprint="f")
    for one, same in zip(state.weights, other.weights, strict=True):
        assert torch.equal(one, same)
    name = f"{place}/ema.safetensors"
    data = bytearray(store.read_bytes(name))
    data[-1] ^= 1
    store.write_bytes(name, bytes(data))
    with pytest.raises(DamagedCheckpointError, match=r"ema\.safetensors"):
        load_model(store, place)
    assert not is_complete(store, "training/run", 0, "f")
