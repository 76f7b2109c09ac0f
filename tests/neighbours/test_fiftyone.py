"""The real FiftyOne opens what `--format fiftyone` writes, with a MongoDB of its own."""

import json
import os
import subprocess

import pytest

from otcondense.store import read_class_selection
from tests.neighbours.conftest import CLASSES
from tests.verbs import call

pytestmark = [pytest.mark.full]
METHOD = "geometry_aware"


def opened(programs, libraries, tmp_path, folder):
    """What FiftyOne finds in a data set."""
    own = {
        "HOME": str(tmp_path),
        "FIFTYONE_DATABASE_DIR": str(tmp_path / "database"),
        "FIFTYONE_DO_NOT_TRACK": "true",
        "LD_LIBRARY_PATH": libraries,
    }
    words = [programs / "python", "tests/neighbours/read_fiftyone.py", folder, METHOD]
    done = subprocess.run(
        words, env=os.environ | own, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_fiftyone_finds_images_labels_tags_and_views(run, programs, libraries, tmp_path):
    folder = tmp_path / "out"
    words = ("--what", "choices", "--format", "fiftyone")
    call("export", (run.store.root, *words, "--output", str(folder)))
    found = opened(programs, libraries, tmp_path, folder)

    directory = run.selection_directory(METHOD)
    selections = [read_class_selection(run.store, directory, name) for name in CLASSES]
    left_out = sum(int((each.assignment < 0).sum()) for each in selections)
    represented = 120 - 12 - left_out
    assert left_out > 0
    assert found["labels"] == {"chosen": 12, "left out": left_out, "represented": represented}
    assert found["classes"] == dict.fromkeys(CLASSES, 40)
    assert found["tags"][f"chosen by {METHOD}"] == found["views"][f"chosen by {METHOD}"] == 12
    assert found["views"][f"left out by {METHOD}"] == left_out
    assert all(found["slugs_fit"])
    assert found["ranks"] == [rank for rank in range(4) for _ in CLASSES]
    assert found["represents"][0] == found["represents"][1] > 1
    assert found["sizes"] == [[20, 24]]
    assert {f"{METHOD}.gain", f"{METHOD}.left_out", "image_id"} <= set(found["fields"])
