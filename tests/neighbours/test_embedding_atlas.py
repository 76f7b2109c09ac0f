"""The real embedding-atlas serves what `--format embedding_atlas` writes; a browser shows it."""

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request

import numpy as np
import pytest

from otcondense.store import read_class_features, read_class_selection
from tests.neighbours.conftest import CLASSES
from tests.verbs import output_of

pytestmark = [pytest.mark.full]
SECONDS = 60
"""For the server to read the file and to answer."""


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    """The file, and the options of the command that the export printed."""
    file = tmp_path_factory.mktemp("out") / "choices.parquet"
    printed = output_of("export", (run.store.root, "--what", "choices", "--output", str(file)))
    command = printed.split("open it with: embedding-atlas ")[1].splitlines()[0]
    return file, command.split()[1:]


@pytest.fixture(scope="module")
def address(exported, programs, tmp_path_factory):
    """The address of a server of the file on loopback."""
    file, options = exported
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    # The importance of points is computed with torch, unless a column is named for it.
    words = [
        programs / "embedding-atlas",
        file,
        *options,
        "--pagerank",
        "geometry_aware_represents",
    ]
    place = ("--host", "127.0.0.1", "--port", str(port), "--no-auto-port")
    home = tmp_path_factory.mktemp("home")
    with subprocess.Popen(
        [*words, *place], env=os.environ | {"HOME": str(home)}, cwd=home
    ) as server:
        wait_for(f"http://127.0.0.1:{port}/data/metadata.json", server)
        yield f"http://127.0.0.1:{port}"
        server.terminate()


def wait_for(url, server):
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        assert server.poll() is None, "embedding-atlas has ended"
        try:
            urllib.request.urlopen(url, timeout=SECONDS).close()
            return
        except urllib.error.URLError:
            time.sleep(0.1)
    raise AssertionError("embedding-atlas does not answer")


def asked(address, sql):
    """The rows that the server answers a question with."""
    question = json.dumps({"type": "json", "sql": sql}).encode()
    with urllib.request.urlopen(f"{address}/data/query", question, timeout=SECONDS) as answer:
        return json.load(answer)


def test_the_columns_are_what_the_options_name(address):
    with urllib.request.urlopen(f"{address}/data/metadata.json", timeout=SECONDS) as answer:
        data = json.load(answer)["props"]["data"]
    assert data["projection"] == {"x": "x", "y": "y"}
    assert (data["neighbors"], data["image"]) == ("neighbors", "image")
    types = {
        row["column_name"]: row["data_type"]
        for row in asked(address, "SELECT column_name, data_type FROM information_schema.columns")
    }
    assert types["image"] == "STRUCT(bytes BLOB, path VARCHAR)"
    assert types["neighbors"] == "STRUCT(ids BIGINT[], distances FLOAT[])"
    assert types["vector"] == "FLOAT[]"


def test_outcomes_can_be_filtered(run, address):
    rows = asked(
        address,
        "SELECT class_name, geometry_aware AS outcome, count(*) AS count,"
        " sum(geometry_aware_represents) AS represented FROM dataset GROUP BY ALL",
    )
    found = {(row["class_name"], row["outcome"]): row for row in rows}
    for name in CLASSES:
        selection = read_class_selection(run.store, run.selection_directory("geometry_aware"), name)
        left_out = int((selection.assignment < 0).sum())
        assert found[name, "chosen"]["count"] == 4
        assert found[name, "chosen"]["represented"] == 40 - left_out
        assert found[name, "left out"]["count"] == left_out


def test_vectors_are_the_features(run, address):
    features = read_class_features(run.store, run.features_directory(run.config.encoder), "bee")
    rows = asked(
        address, "SELECT vector FROM dataset WHERE class_name = 'bee' ORDER BY __row_index__"
    )
    found = np.array([row["vector"] for row in rows], np.float32)
    np.testing.assert_allclose(found, features.features, rtol=1e-6)


def test_a_browser_shows_rows_with_pictures(address, browser):
    page = browser.new_page(viewport={"width": 1500, "height": 950})
    page.goto(address)
    page.get_by_text("ant/00.png").first.wait_for(timeout=1000 * SECONDS)
    page.get_by_text("left out").first.wait_for(timeout=1000 * SECONDS)
    page.wait_for_function("[...document.images].some(image => image.naturalWidth === 80)")
    assert page.evaluate("window.hacked") is None
    page.close()
