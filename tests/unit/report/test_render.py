"""The page: complete, self-contained, escaped, accessible, deterministic."""

import base64
import dataclasses
import hashlib
import itertools
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from otcondense.report import (
    ClassCard,
    ClassSheet,
    CopyRow,
    FeatureMap,
    LossCurve,
    MetricRow,
    ObjectiveHistory,
    ReportData,
    SampleSheet,
    StageTime,
    SubsetRow,
    Thumbnail,
    published_for,
    render_report,
)
from otcondense.report.answer import Answer, Compared, LeftOut, RandomComparison, SubsetAnswer

VOID = {"meta", "img", "link", "br", "input"}


class Page(HTMLParser):
    """Collects what the tests ask about."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.scripts, self.stack, self.words = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.stack.append(tag)
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, data):
        if self.stack and self.stack[-1] == "script":
            self.scripts[-1] = (self.scripts[-1][0], self.scripts[-1][1] + data)
        elif self.stack and self.stack[-1] != "style":
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


ANSWER = Answer(
    run="runs/digits",
    subsets=(
        SubsetAnswer(
            method="geometry_aware",
            manifest="runs/digits/subset.parquet",
            num_chosen=10,
            num_images=1,
            num_classes=1,
            unrepresented=0.05,
            compared=(
                Compared(
                    what="the chosen images",
                    network="judge",
                    num_held_out=1,
                    metrics=(RandomComparison("coverage", 0.91, (0.85, 0.86, 0.84)),),
                ),
            ),
        ),
    ),
    left_out=(
        LeftOut(
            3, "image", "that cannot be read", "lost.parquet", ("b/1.png (damaged)",), "left out"
        ),
    ),
    next_command="otcondense export runs/digits --output digits",
)
THUMBNAILS = (Thumbnail("a.png", b"\x89PNG..."), Thumbnail("b.jpg", b"\xff\xd8..."))


def example(name="geometry_aware", class_name="3"):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (6, 1, 8, 8), dtype=np.uint8)
    rows = tuple(
        MetricRow(
            model,
            method,
            steps,
            {"fid": fid, "fid_std": 0.5, "copy_share": 0.6},
            50,
            40,
            "judge",
            "cd" * 32,
        )
        for model in ("SiT", "DiT")
        for method, steps, fid in [
            (name, 600, 12.31),
            ("random", 600, 18.06),
            (name, 2500, 9.5),
            ("random", 2500, 7.5),
        ]
    )
    return ReportData(
        title=f"Digits by {name}",
        answer=ANSWER,
        summary="A summary.",
        facts={"images": "1,400"},
        metrics=rows,
        sample_size="8x8",
        subsets=(SubsetRow(name, 10, 40, {"frechet_distance": 3.5}),),
        class_sheets=(ClassSheet(class_name, {name: THUMBNAILS, "random": ()}, {name: 4}),),
        sample_sheets=(
            SampleSheet(
                "SiT",
                name,
                2500,
                images,
                images,
                images,
                np.ones(6),
                np.array([2.0] * 2 + [0.5] * 4),
            ),
        ),
        feature_maps=(
            FeatureMap(
                class_name, rng.normal(size=(9, 4)), {name: np.array([0, 4])}, {name: np.array([1])}
            ),
        ),
        class_cards=(ClassCard(class_name, name, 140, 10, 0.05, 2.0, 1.5, {"SiT": 3.25}),),
        copies=(CopyRow(class_name, 140, 7, 31, 4, 1.25, 6.5, 2, ("a.png and 31 more",)),),
        published=published_for("DiT-L/2", 256, 10_000),
        protocol_differences=("measured by 50 samples",),
        histories=(
            ObjectiveHistory(class_name, name, np.array([3.0, 2.0]), ("greedy", "swap"), 1.5),
        ),
        loss_curves=(LossCurve("SiT", name, np.array([1, 2]), np.array([1.0, 0.5])),),
        stage_times=(StageTime("select", 75.2, "2 actors"), StageTime("train", 3.0)),
        config_yaml=f"selection:\n  methods: [{name}]\n",
        versions={"torch": "2.15.0"},
    )


@pytest.fixture(scope="module")
def report():
    return render_report(example())


@pytest.fixture(scope="module")
def page(report):
    return Page(report)


def test_all_that_was_asked_for_is_on_the_page(page):
    for expected in [
        "Digits by geometry_aware",
        "1 class with copies",
        "a.png and 31 more",
        "12.31",
        "18.06",
        "600 training steps",
        "can flip with compute",
        "by FID the order flips, beyond the noise",
        "50 samples against 40 held-out images through judge (weights cdcdcdcdcdcd)",
        "2 of 6 shown samples are nearer to a chosen image",
        "FD at 8x8 ↓",
        "Proven: no subset of this size is below 1.5 (gap 25.0 %)",
        "1 min 15 s",
        "and 2 more",
        "are shrunk to 8x8 pixels",
        "geometry_aware: 10 of 1 image in 1 class",
        "runs/digits/subset.parquet",
        "The chosen images against 3 random draws: better in coverage",
        "3 images that cannot be read left out b/1.png (damaged) and 2 more "
        "All of them: lost.parquet",
        "otcondense export runs/digits --output digits",
        "10 of 140 5.0 % 2 25.0 % 3.25",
        "measured by 50 samples",
        "random 100,000 35.86 D2C Not comparable",
        "No single metric tells memorisation from a poor fit",
        "methods: [geometry_aware]",
        "2.15.0",
    ]:
        assert expected in page.text


def test_the_same_data_give_the_same_page(report):
    assert render_report(example()) == report


def test_nothing_is_loaded_from_elsewhere(page):
    assert page.all("link") == page.all("iframe") == page.all("object") == []
    for tag, attributes in page.tags:
        for key in ("src", "href", "srcset", "data"):
            value = attributes.get(key, "data:" if tag == "img" else "#")
            assert value.startswith(
                ("data:image/png;base64,", "data:image/jpeg;base64,")
                if tag == "img" and key == "src"
                else ("#", "data:")
            ), (tag, key, value[:60])


def test_the_style_sheet_loads_nothing(report):
    style = report[report.index("<style>") : report.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    assert "prefers-color-scheme: dark" in style


def test_the_policy_allows_the_pages_own_scripts_and_no_other(page):
    policy = next(
        each["content"]
        for each in page.all("meta")
        if each.get("http-equiv") == "Content-Security-Policy"
    )
    code = [text for attributes, text in page.scripts if "type" not in attributes]
    hashes = {base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in code}
    assert len(code) == 2
    assert set(re.findall(r"'sha256-([^']+)'", policy)) == hashes
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-inline" not in policy.split(";")[1]


def test_every_plot_has_its_figure_and_its_words(page):
    figures = {
        attributes["id"]: json.loads(text)
        for attributes, text in page.scripts
        if attributes.get("type") == "application/json"
    }
    places = [attributes for attributes in page.all("div") if "data-plot" in attributes]
    assert {each["data-plot"] for each in places} == set(figures)
    assert len(places) == len(figures) == 2 * 2 + 3
    assert all(each["role"] == "img" and len(each["aria-label"]) > 30 for each in places)
    assert all(figure["data"] for figure in figures.values())


def test_the_page_can_be_read_without_eyes_or_pointer(page):
    assert page.all("html") == [{"lang": "en"}]
    assert all(each["alt"] for each in page.all("img"))
    assert len(page.all("caption")) == len(page.all("table")) > 4
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {each["href"][1:] for each in page.all("a")} <= set(ids)
    assert {each["aria-labelledby"] for each in page.all("section")} <= set(ids)
    assert all(
        each.get("tabindex") == "0" for each in page.all("div") if each.get("class") == "scroll"
    )
    # FID in two lengths of two models; the copy shares are equal, so nobody wins.
    assert page.text.count("(best)") == 2 * 2


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "</script><img src=x onerror=alert(1)>",
        "\"'><svg onload=alert(1)>",
        "{{ 7 * 7 }}",
        "a&b<!--",
    ],
)
def test_hostile_names_are_shown_not_run(hostile, page):
    data = example(hostile, hostile)
    found = Page(
        render_report(
            dataclasses.replace(
                data, versions={hostile: hostile}, stage_times=(StageTime(hostile, 1.0, hostile),)
            )
        )
    )
    assert len(found.scripts) == len(page.scripts)
    assert not any(key.startswith("on") for _, attributes in found.tags for key in attributes)
    assert len(found.all("img")) == len(page.all("img"))
    assert found.all("svg") == []
    assert " ".join(hostile.split()) in found.text


def test_classes_that_are_not_shown_are_counted():
    data, words = example(), "the first 1 of 1,001"
    cards = [
        dataclasses.replace(data.class_cards[0], class_name=f"more {number}")
        for number in range(1000)
    ]
    assert words in render_report(
        dataclasses.replace(data, class_cards=(*data.class_cards, *cards))
    )
    assert words not in render_report(data)


def test_the_report_begins_with_its_answer(page):
    assert [each["id"] for each in page.all("section")][:2] == ["answer", "results"]
    assert page.text.index("Next") < page.text.index("can flip with compute")


def test_sections_without_data_are_left_out():
    found = Page(
        render_report(ReportData(title="Nothing yet", stage_times=(StageTime("select", 1.0),)))
    )
    assert [each["id"] for each in found.all("section")] == ["times"]
    assert [each["href"] for each in found.all("a")] == ["#content", "#times"]
    assert found.scripts == []  # no plots, no plotting library
