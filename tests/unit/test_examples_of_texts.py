"""The examples on texts: features of docstrings, and a probe of what selections are worth."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROWS, CLASSES = 120, 3


def run(script: str, *words: str) -> str:
    command = [sys.executable, f"examples/{script}", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_a_probe_of_each_method_is_measured(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    labels = np.repeat(["ant", "bee", "cat"], ROWS // CLASSES)
    centres = np.repeat(4 * np.eye(CLASSES, 5), ROWS // CLASSES, axis=0)
    features = centres + generator.normal(size=(ROWS, 5))
    np.savez(tmp_path / "rows.npz", features=features, labels=labels)
    header, _, row, limit = run("probe.py", str(tmp_path / "rows.npz"), "--budgets", "3").split(
        "\n"
    )[:4]
    assert header.startswith("| a class | geometry_aware |")
    accuracies = [float(cell.split()[0]) for cell in row.strip("| ").split("|")[1:]]
    assert len(accuracies) == header.count("|") - 2
    assert min(accuracies) > 0.8
    assert limit.startswith("all 90 rows: ")


@pytest.mark.slow
def test_docstrings_are_features_with_labels_and_ids(tmp_path: Path) -> None:
    said = run("texts.py", str(tmp_path / "texts.npz"), "--model", "tfidf")
    with np.load(tmp_path / "texts.npz") as stored:
        assert stored["features"].shape == (len(stored["labels"]), 128)
        assert len(set(stored["ids"].tolist())) == len(stored["ids"])
        assert len(set(stored["labels"].tolist())) == 9
    assert said.startswith("3600 texts of 9 packages")
