"""A run and its source on S3: a real server of moto's on this machine, everything in this process."""

import io
import logging
from collections.abc import Iterator

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from jobs.run_directory import Run
from jobs.settings import load_config
from otcondense.store import Store, read_class_features

boto3 = pytest.importorskip("boto3")
pytest.importorskip("s3fs")
moto_server = pytest.importorskip("moto.server")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # botocore's and moto's own
CLASSES, IMAGES = ("a", "ö"), 3


@pytest.fixture(scope="module")
def client(tmp_path_factory) -> Iterator:
    """A bucket on a server that listens on loopback, found by fsspec through the environment."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    url = f"http://127.0.0.1:{server.get_host_and_port()[1]}"
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": url}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in keys.items():
            patch.setenv(name, value)
        found = boto3.client("s3", endpoint_url=url)
        found.create_bucket(Bucket="bucket")
        yield found
    server.stop()


@pytest.fixture(scope="module")
def config(client, tmp_path_factory):
    """A configuration whose images and run are on S3."""
    rng, root = np.random.default_rng(0), tmp_path_factory.mktemp("s3")
    for class_name in CLASSES:
        for number in range(IMAGES):
            data = io.BytesIO()
            Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).save(data, "PNG")
            client.put_object(Bucket="bucket", Key=f"images/{class_name}/{number}.png", Body=data.getvalue())
    torch.manual_seed(0)
    save_file(timm.create_model("test_byobnet", num_classes=2, in_chans=1).state_dict(), root / "e.safetensors")
    encoder = {"name": "test_byobnet", "weights": str(root / "e.safetensors"), "image_size": 32, "in_chans": 1, "num_classes": 2}
    path = root / "c.yaml"
    path.write_text(
        f"run: s3://bucket/run\nsource: {{path: 's3://bucket/images'}}\nencoder: {encoder}\n"
        "extraction: {num_encoders: 0}\nselection: {budget: 1, methods: [random]}\n"
    )
    return load_config(str(path), ["encoder.batch_size=2", "encoder.device=cpu"])


def test_extraction_selection_and_verification_on_s3(client, config):
    from actors.selector import run_selector
    from jobs.extract_features import extract
    from jobs.run_directory import open_run
    from jobs.verify import read_run, verify
    from otcondense.store import manifest_table, read_manifest, write_class_selection, write_table

    with open_run(config) as run:
        extract(run)
        chosen = []
        for class_name in CLASSES:
            features = read_class_features(run.store, run.features_directory(config.encoder), class_name)
            assert features.image_ids == [f"{class_name}/{number}.png" for number in range(IMAGES)]
            chosen.append(run_selector("random", config.selection.selector_settings("random", 1), features))
            write_class_selection(run.store, run.selection_directory("random"), chosen[-1], fingerprint="s")
        write_table(run.store, run.manifest("random"), manifest_table(chosen), fingerprint="m")
    again = read_run("s3://bucket/run")
    assert len(read_manifest(again.store, again.manifest("random"))) == 2
    assert verify(again) == []
    name = f"{again.features_directory(config.encoder)}/class_name=a/part-0.parquet"
    data = again.store.read_bytes(name)
    Store("s3://bucket/run").write_bytes(name, data[:-20])
    assert [problem.file for problem in verify(Run(config))] == [name]
    with open_run(config) as run:
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
    writes = [call for call in calls if call[0].startswith(("put", "create", "upload", "complete", "copy"))]
    assert writes == [("put_object", "puts/x/data")]
    assert client.get_object(Bucket="bucket", Key="puts/x/data")["ContentLength"] == 100_000
