"""Fitted selectors as tables, figures and pieces of notebooks."""

import base64
import io
import math
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from otcondense.errors import InputError
from otcondense.selection import SELECTORS, ClassSelector
from otcondense.selection.shown import Shown

LABELS = np.repeat(["cat", "<b>dog</b>"], 10)

every_selector = pytest.mark.parametrize("name", [*SELECTORS, "classes"])


def features() -> Any:
    return np.random.default_rng(0).normal(size=(20, 3))


def unfitted(name: str) -> Shown:
    if name == "classes":
        return ClassSelector(SELECTORS["k_medoids"](budget=3))
    more = {"lower_bound": None, "rebuilds": 0} if name == "geometry_aware" else {}
    return SELECTORS[name](budget=3, **more)


def fitted(name: str) -> Any:
    selector: Any = unfitted(name)
    data: dict[str, Any] = {"difficulty": np.arange(20)}
    if name == "classes":
        data = {"y": LABELS}
    return selector.fit(features(), **data)


@every_selector
def test_the_table_has_a_row_for_each_chosen_image(name: str) -> None:
    selector = fitted(name)
    table = selector.to_frame()
    columns = ["index", "rank", "gain", "represented_mass", "weight"]
    if name == "classes":
        columns.insert(1, "class")
        assert table["class"].tolist() == LABELS[selector.indices_].tolist()
        assert table["represented_mass"].sum() == pytest.approx(2)
        assert sorted(table["rank"]) == [0, 0, 1, 1, 2, 2]
    assert list(table.columns) == columns
    assert table["index"].tolist() == selector.indices_.tolist()
    assert table["weight"].tolist() == pytest.approx((table["represented_mass"] * 3).tolist())


@every_selector
@pytest.mark.parametrize("with_map", [False, True])
def test_the_figure_has_the_history_and_a_map_of_the_features(name: str, with_map: bool) -> None:
    selector = fitted(name)
    drawn = selector.plot(features() if with_map else None)
    traces = {trace.name: trace for trace in drawn.data}
    named = [each for each in traces if each and "chosen" in each]
    assert named == ([f"chosen ({len(selector.indices_)})"] if with_map else [])
    has_history = math.isfinite(selector.objective_) and name != "k_means"
    assert any(trace.mode == "lines" for trace in drawn.data) == has_history
    assert not any("<b>" in (each or "") for each in traces)


@every_selector
def test_results_are_asked_for_after_a_fit(name: str) -> None:
    selector = unfitted(name)
    for ask in (selector.to_frame, selector.plot, lambda: selector.with_images([])):
        with pytest.raises(InputError, match=r"must be fitted first, found no result; call fit"):
            ask()
    assert type(selector).__name__ in selector._repr_html_()


@pytest.mark.parametrize(("module", "ask"), [("pandas", "to_frame"), ("plotly", "plot")])
def test_a_missing_package_is_named(module: str, ask: str, monkeypatch: pytest.MonkeyPatch) -> None:
    selector = fitted("herding")
    monkeypatch.setattr("otcondense.selection.shown.find_spec", lambda _: None)
    with pytest.raises(InputError, match=f"{ask} needs {module}, found none; pip install {module}"):
        getattr(selector, ask)()


def test_features_and_paths_must_be_those_of_the_fit() -> None:
    selector = fitted("herding")
    with pytest.raises(InputError, match=r"features must have one row per image \(20\), found 19"):
        selector.plot(features()[:-1])
    for paths, message in {
        ("a", "b"): r"paths must have one file per image \(20\), found 2",
        "a" * 20: "paths must be a list with a path for each image",
    }.items():
        with pytest.raises(InputError, match=message):
            selector.with_images(paths)


@pytest.mark.parametrize("name", ["a.png", "\udcff.png", b"\xff.png", "", "/", "x" * 5000])
def test_images_are_given_one_by_one_and_any_name_can_be_shown(name: Any) -> None:
    selector = fitted("herding").with_images(name for _ in range(20))
    assert len(selector.to_frame()["image"]) == 3
    assert "(not readable)" in selector._repr_html_().encode().decode()


class Elements(HTMLParser):
    """Counts elements, and fails at those that were not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag != "img":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@every_selector
def test_notebooks_show_the_result_and_escape_names(name: str, tmp_path: Path) -> None:
    evil = '"><script>alert(1)</script>.png'
    paths = [tmp_path / f"{number}-{evil.replace('/', '_')}" for number in range(20)]
    Image.new("RGB", (300, 200), (200, 30, 30)).save(tmp_path / "picture.png")
    for path in paths[::2]:
        path.write_bytes((tmp_path / "picture.png").read_bytes())
    selector = fitted(name).with_images(paths)
    page = Elements(selector._repr_html_())
    tags = [tag for tag, _ in page.found]
    assert "script" not in tags
    readable = sum(row % 2 == 0 for row in selector.indices_.tolist())
    assert tags.count("img") == readable
    assert page.text.count("(not readable)") == len(selector.indices_) - readable
    assert f"{len(selector.indices_)} of 20 images" in page.text
    assert ("objective" in page.text) == math.isfinite(selector.objective_)
    for _, attributes in page.found:
        source = attributes.get("src")
        if source:
            data = base64.b64decode(re.sub("^data:image/jpeg;base64,", "", source))
            assert Image.open(io.BytesIO(data)).size == (96, 64)
    assert selector.to_frame()["image"].tolist() == [str(paths[row]) for row in selector.indices_]


def test_another_fit_forgets_the_files() -> None:
    selector = fitted("herding").with_images([f"{number}.png" for number in range(20)])
    assert "img" not in selector._repr_html_()
    assert "image" not in selector.fit(features()[:9]).to_frame().columns


@every_selector
def test_a_fit_that_is_refused_leaves_nothing_of_an_earlier_one(name: str) -> None:
    selector = fitted(name)
    with pytest.raises(InputError):
        selector.fit(features()[:0])
    assert not [each for each in vars(selector) if each.endswith("_")]
    with pytest.raises(InputError, match="must be fitted first"):
        selector.to_frame()
