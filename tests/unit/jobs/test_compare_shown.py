"""What a comparison shows: files, the overview, the page, figures."""

import math
import re
from xml.etree import ElementTree as ET

import pytest

from jobs.compare.config import CompareConfig
from jobs.compare.drawing import WIDTH, drawings
from jobs.compare.overview import overview_text, overviews
from jobs.compare.page import render_page
from jobs.compare.results import Row, result_rows, variants_of
from jobs.compare.statements import statements
from jobs.compare.summary import cells, unmeasured
from jobs.compare.tables import rows_as_csv, summary_rows
from jobs.trials.trial import Sweep
from tests.generators.comparisons import (
    BASE,
    CONFIG,
    HOSTILE,
    NOISE,
    RECORDS,
    SWEEP,
    VARIANTS,
    record,
    tables,
)

LETTER = 6.7
"""Pixels of a letter of the figures, at most, in the mean of a line."""


def test_tables_as_csv() -> None:
    rows = result_rows(RECORDS, SWEEP)
    text = rows_as_csv(rows).decode().splitlines()
    assert text[0] == "variant,num_images,guidance,step,seed,trial,frechet_distance"
    assert len(text) == 1 + 24 * 2
    summary = summary_rows(cells(rows, CONFIG))
    assert len(summary) == 6
    assert all(
        not isinstance(value, float) or math.isfinite(value)
        for row in summary
        for value in row.values()
    )
    (ours,) = (row for row in summary if row["variant"] == "ours" and row["step"] == 100)
    assert ours["difference_low"] < ours["difference"] < ours["difference_high"] < 0
    assert ours["effect"] < -1
    assert (ours["p_value"], ours["seeds_better"], ours["num_pairs"]) == (0.015625, 8, 8)
    assert (ours["rank"], ours["among_best"], ours["guidance"]) == (1.0, True, 1.5)
    reference = next(row for row in summary if row["variant"] == "random")
    assert reference["difference"] is reference["num_pairs"] is None


def test_the_overview_says_it_in_one_line_for_each_variant() -> None:
    lines = overview_text(overviews(tables(RECORDS), CONFIG)[0]).splitlines()
    assert lines[0] == (
        "frechet_distance (lower is better) after 100 steps; difference from random, better seeds"
    )
    assert lines[1].strip() == "100 images"
    assert [line.split("  ")[0] for line in lines[2:5]] == ["ours", "random", "no noise"]
    assert lines[2].endswith("1.943*  -0.107 ± 0.0041  better, all 8 of 8")
    assert lines[3].endswith("2.05")
    assert lines[4].endswith("2.15  +0.1 ± 0  worse, 0 of 8")


def hostile() -> tuple[CompareConfig, list[Row]]:
    variants = {**VARIANTS, HOSTILE: {"method": "random", "selection.budget": 3}}
    config = CONFIG.model_copy(update={"name": "hostile", "variants": variants})
    own = [record(HOSTILE, seed, {50: 1.0, 100: 1.0 + seed}) for seed in range(8)]
    return config, result_rows([*RECORDS, *own], Sweep(config.sweep(BASE), BASE))


def test_the_page_is_the_same_twice_and_escapes_everything() -> None:
    config, rows = hostile()
    sweep, found = Sweep(config.sweep(BASE), BASE), cells(rows, config)
    page = render_page(config, sweep, rows, found, 2)
    assert page == render_page(config, sweep, rows, found, 2)
    assert HOSTILE not in page
    assert "alert(1 + 2)" in page
    assert "default-src &#39;none&#39;" in page
    assert "better than random: ours" in page
    assert page.count('data-plot="') == 2


def test_the_page_starts_with_the_overview() -> None:
    page = render_page(CONFIG, SWEEP, result_rows(RECORDS, SWEEP), tables(RECORDS), 0)
    assert page.index('id="overview"') < page.index('id="findings"')
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page[page.index('id="overview"') :]))
    assert "ours 1.943* -0.107 ± 0.0041 better, all 8 of 8" in text
    assert "random 2.05 the reference" in text


def test_figures_are_the_same_twice_and_escape_everything() -> None:
    config, rows = hostile()
    found = cells(rows, config)
    variants = variants_of(rows, Sweep(config.sweep(BASE), BASE))
    files = drawings(found, config, variants)
    assert files == drawings(found, config, variants)
    assert list(files) == ["figures/frechet_distance.svg"]
    picture = ET.fromstring(files["figures/frechet_distance.svg"])
    words = [each.text or "" for each in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert "better, all 8 of 8" in words
    assert f"{HOSTILE[:28]}…" in words
    circles = list(picture.iter("{http://www.w3.org/2000/svg}circle"))
    # Eight seeds of four variants at two lengths, and at the last one again with their means.
    assert len(circles) == 8 * 4 * 2 + (8 + 1) * 4
    width, height = int(picture.attrib["width"]), int(picture.attrib["height"])
    for circle in circles:
        assert 0 < float(circle.attrib["cx"]) < width
        assert 0 < float(circle.attrib["cy"]) < height


def test_metrics_without_any_value_are_named() -> None:
    config = CONFIG.model_copy(update={"metrics": ("adm_fid", "frechet_distance")})
    rows, found = result_rows(RECORDS, SWEEP), tables(RECORDS, config)
    assert unmeasured(found, config) == ("adm_fid",)
    assert "No trial measured adm_fid." in render_page(config, SWEEP, rows, found, 0)
    assert "No trial measured" not in render_page(CONFIG, SWEEP, rows, found, 0)


@pytest.mark.parametrize(
    ("kept", "words"), [("random", "only random has results"), ("ours", "no results of random")]
)
def test_a_table_with_one_variant_says_what_is_missing(kept: str, words: str) -> None:
    found = tables([each for each in RECORDS if each.values["variant"] == kept])
    assert all(sentence.endswith(f"{words}.") for sentence in statements(found, CONFIG))


def test_all_words_of_a_figure_are_inside_of_it() -> None:
    guided = [
        record(name, seed, {100_000: level + NOISE[seed]}, 10_000, guidance)
        for guidance in (1.0, 1.5)
        for name, level, count in (("random", 2.0, 8), ("ours", 2.0, 7))
        for seed in range(count)
    ]
    config = CONFIG.model_copy(update={"guidance": (1.0, 1.5)})
    found = tables(guided, config)
    picture = ET.fromstring(next(iter(drawings(found, config, list(VARIANTS)).values())))
    words = list(picture.iter("{http://www.w3.org/2000/svg}text"))
    assert int(picture.attrib["width"]) < WIDTH, "one length needs no curves"
    assert any(each.text == "within the noise, 0 of 7 common" for each in words)
    for each in words:
        if each.attrib["text-anchor"] == "start":
            right = float(each.attrib["x"]) + LETTER * len(each.text or "")
            assert right < int(picture.attrib["width"]), each.text
