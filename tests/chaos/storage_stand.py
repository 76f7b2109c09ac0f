"""Faults of an object store: a real S3 server of moto's that fails now and then."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.chaos.faults import Fault
from tests.commands import Command, Ended
from tests.generators.object_store import BUCKET, put_images, s3_bucket
from tests.generators.weights import write_timm

OTHER = ("logs/", "report", "run.json", "config.yaml")


class Flaky:
    """A server in front of another, which fails a share of the requests."""

    def __init__(self, application: Any) -> None:
        self._application, self.share, self.dice = application, 0.0, random.Random(0)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        if self.dice.random() >= self.share:
            return self._application(environ, start_response)
        start_response(
            self.dice.choice(("500 Internal Server Error", "503 Slow Down")),
            [("Content-Type", "application/xml")],
        )
        return [b"<Error><Code>SlowDown</Code><Message>injected</Message></Error>"]


@dataclass(frozen=True)
class Bucket:
    """The images on S3, what selects of them, and the results of an undisturbed run."""

    config: Path
    client: Any
    server: Flaky
    environment: dict[str, str]
    wanted: dict[str, str]

    @classmethod
    @contextmanager
    def open(cls, root: Path) -> Iterator["Bucket"]:
        encoder = {
            "name": "test_byobnet",
            "weights": write_timm(
                root / "s3.safetensors", "test_byobnet", num_classes=2, in_chans=1
            ),
        }
        values = {
            "source": {"path": f"s3://{BUCKET}/images"},
            "encoder": encoder
            | {"image_size": 32, "in_chans": 1, "num_classes": 2, "batch_size": 2, "device": "cpu"},
            "extraction": {"num_encoders": 0},
            "selection": {
                "budget": 2,
                "methods": ["geometry_aware", "random"],
                "pool": {"num_actors": 1, "num_cpus": 0},
            },
        }
        config = root / "s3.yaml"
        config.write_text(yaml.safe_dump(values))
        servers: list[Flaky] = []

        def flaky(application: Any) -> Flaky:
            servers.append(Flaky(application))
            return servers[0]

        with s3_bucket(flaky) as (client, environment):
            put_images(client, ("a", "ö"), 5)
            bucket = cls(config, client, servers[0], environment, {})
            stand = StorageStand(bucket, "undisturbed")
            ended = stand.again()
            assert ended.code == 0, ended.output
            bucket.wanted.update(stand.objects())
            yield bucket


class StorageStand:
    """A subset of images on S3, in a run on S3."""

    def __init__(self, bucket: Bucket, name: str) -> None:
        self._bucket, self._name = bucket, name

    def _run(self) -> Ended:
        arguments = [f"--config={self._bucket.config}", f"--run=s3://{BUCKET}/{self._name}"]
        command = Command("run", arguments, self._bucket.environment)
        try:
            return command.end()
        finally:
            command.clean()

    def objects(self, what: str = "ETag") -> dict[str, Any]:
        """Return the digest of each result, or what else S3 says of it."""
        listed = self._bucket.client.list_objects_v2(Bucket=BUCKET, Prefix=f"{self._name}/").get(
            "Contents", []
        )
        names = {each["Key"].removeprefix(f"{self._name}/"): each[what] for each in listed}
        return {name: value for name, value in names.items() if not name.startswith(OTHER)}

    def disturb(self, fault: Fault) -> Ended:
        server = self._bucket.server
        server.dice, server.share = random.Random(fault.settings["seed"]), fault.settings["share"]
        try:
            return self._run()
        finally:
            server.share = 0.0

    def again(self) -> Ended:
        return self._run()

    def finished(self) -> dict[str, Any]:
        marks = self.objects("LastModified")
        same = {
            name
            for name, digest in self.objects().items()
            if self._bucket.wanted.get(name) == digest
        }
        return {name: marks[name] for name in same if "/class_name=" in name}

    def differences(self) -> list[str]:
        found, wanted = self.objects(), self._bucket.wanted
        return sorted(name for name in {*found, *wanted} if found.get(name) != wanted.get(name))
