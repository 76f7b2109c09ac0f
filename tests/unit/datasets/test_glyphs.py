"""Rendered letters: the kinds that were asked for, the same bytes every time, all or nothing."""

import hashlib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from otcondense.datasets import GlyphConfig, SourceConfig, list_images, write_glyphs
from otcondense.errors import InputError

SMALL = GlyphConfig(letters="ABC", train_images=40, held_out_images=10)


def digests(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*.png"))
    }


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("glyphs") / "glyphs"
    write_glyphs(root, SMALL)
    return root


def test_kinds_are_in_the_proportion_asked_for(root: Path) -> None:
    records = list_images(SourceConfig(path=str(root / "train")))
    counts = Counter(
        (record.class_name, Path(record.path).name.split("-")[0]) for record in records
    )
    assert counts == {
        (letter, kind): count
        for letter in "ABC"
        for kind, count in (("head", 32), ("tail", 6), ("outlier", 2))
    }
    held_out = list_images(SourceConfig(path=str(root / "held_out")))
    assert not any("outlier" in record.path for record in held_out)
    assert len(set(digests(root).values())) == 3 * 50, "an image came twice"


def test_letters_can_be_seen(root: Path) -> None:
    image = np.asarray(Image.open(root / "train/A/head-0030.png"))
    assert image.shape == (32, 32)
    assert 0.03 < (image > 128).mean() < 0.5
    assert image[:, :2].mean() < 64


def test_the_same_settings_give_the_same_bytes_and_others_are_refused(
    root: Path, tmp_path: Path
) -> None:
    write_glyphs(tmp_path / "again", SMALL)
    assert digests(tmp_path / "again") == digests(root)
    write_glyphs(root, SMALL)
    with pytest.raises(InputError, match="holds glyphs of other settings"):
        write_glyphs(root, replace(SMALL, seed=1))
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(InputError, match="found other files"):
        write_glyphs(tmp_path, SMALL)
    assert {path.name for path in tmp_path.iterdir()} == {"again", "thesis.tex"}


def test_a_damaged_glyph_is_written_again(tmp_path: Path) -> None:
    write_glyphs(tmp_path / "glyphs", SMALL)
    before = digests(tmp_path / "glyphs")
    images = sorted((tmp_path / "glyphs").rglob("*.png"))
    images[0].write_bytes(b"")
    images[1].write_bytes(images[2].read_bytes())
    write_glyphs(tmp_path / "glyphs", SMALL)
    assert digests(tmp_path / "glyphs") == before
