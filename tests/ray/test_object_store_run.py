"""Images and run on S3, each stage a command of its own; moto is a real server on this machine."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from tests.commands import Command
from tests.generators.object_store import put_images, s3_bucket
from tests.generators.weights import write_timm

pytestmark = [
    pytest.mark.full,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # botocore's and moto's own
]
CLASSES, IMAGES = ("a", "ö"), 5


def command(verb: str, *arguments: str) -> str:
    """Run a verb to its end and return what it printed."""
    with Command(verb, list(arguments)) as started:
        ended = started.end()
    assert ended.code == 0, ended.output
    return ended.output


def test_every_stage_of_a_subset_on_s3(tmp_path: Path) -> None:
    encoder = {
        "name": "test_byobnet",
        "weights": write_timm(
            tmp_path / "e.safetensors", "test_byobnet", num_classes=2, in_chans=1
        ),
    }
    values = {
        "run": "s3://bucket/run",
        "source": {"path": "s3://bucket/images"},
        "encoder": encoder
        | {"image_size": 32, "in_chans": 1, "num_classes": 2, "batch_size": 2, "device": "cpu"},
        "extraction": {"num_encoders": 1},
        "selection": {"budget": 2, "methods": ["geometry_aware", "random"]},
    }
    config = tmp_path / "c.yaml"
    config.write_text(yaml.safe_dump(values))
    with s3_bucket() as (client, _):
        put_images(client, CLASSES, IMAGES)
        command("extract_features", f"--config={config}")
        for ending in ("", ", finished earlier"):
            output = command("select_subset", f"--config={config}")
            assert f"4 selections from 2 classes{ending}\n" in output
        assert "0 problems" in command("verify", "s3://bucket/run")
        output = tmp_path / "subset.parquet"
        command("export", f"--config={config}", "--format=parquet", f"--output={output}")
    rows = pq.read_table(output).to_pylist()
    assert [row["class_name"] for row in rows] == ["a", "a", "ö", "ö"]
    assert all(row["image"]["bytes"].startswith(b"\x89PNG") for row in rows)
