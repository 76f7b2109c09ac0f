"""A real S3 server of moto's on loopback, with one bucket of images."""

import io
import logging
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from PIL import Image

BUCKET = "bucket"


@contextmanager
def s3_bucket(
    wrapped: Callable[[Any], Any] = lambda application: application,
) -> Iterator[tuple[Any, dict[str, str]]]:
    """Start a server and yield a client and the environment variables for fsspec.

    Args:
        wrapped: takes moto's WSGI application and returns the one that the server runs.
    """
    boto3 = pytest.importorskip("boto3")
    moto = pytest.importorskip("moto.moto_server.threaded_moto_server")
    s3fs = pytest.importorskip("s3fs")
    s3fs.S3FileSystem.clear_instance_cache()  # of an earlier server, on another port
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    application = wrapped(moto.DomainDispatcherApplication(moto.create_backend_app))
    server = moto.make_server(
        "127.0.0.1", 0, application, True, request_handler=moto.MotoRequestHandler
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    keys = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": url,
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in keys.items():
            patch.setenv(name, value)
        # moto's state belongs to the process: the files of an earlier server are still there.
        urllib.request.urlopen(
            urllib.request.Request(f"{url}/moto-api/reset", method="POST"), timeout=30
        ).close()
        client = boto3.client("s3", endpoint_url=url)
        client.create_bucket(Bucket=BUCKET)
        yield client, keys
    server.shutdown()


def put_images(client: Any, classes: tuple[str, ...], images: int) -> None:
    """Write `images` grey PNG files for each class below `images/`."""
    rng = np.random.default_rng(0)
    for class_name in classes:
        for number in range(images):
            data = io.BytesIO()
            Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).save(data, "PNG")
            client.put_object(
                Bucket=BUCKET, Key=f"images/{class_name}/{number}.png", Body=data.getvalue()
            )
