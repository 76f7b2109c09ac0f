"""Every link of the documentation leads somewhere, in the repository and on the site."""

import re
from pathlib import Path

import pytest
from pymdownx.slugs import slugify

from tests.unit.website.pages import PAGES
from website.links import OUTSIDE, BrokenLinkError, Links, links_in

ROOT = Path()
HEADING = re.compile(r"^#{1,6} (?P<words>.+)$", re.MULTILINE)
MARKUP = re.compile(r"[`*]|\]\([^)]*\)|\[")
slug = slugify(case="lower")


def anchors_of(path):
    """The anchors of the headings of a page, as the repository's view and the site make them."""
    text = re.sub(r"```.*?```", "", path.read_text(), flags=re.DOTALL)
    return {slug(MARKUP.sub("", match["words"]), "-") for match in HEADING.finditer(text)}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_file_and_a_heading(page) -> None:
    for target in links_in(Path(page).read_text()):
        if not OUTSIDE.match(target):
            path, _, anchor = target.partition("#")
            found = (Path(page).parent / path) if path else Path(page)
            assert found.exists(), target
            if anchor and found.suffix == ".md":
                assert anchor in anchors_of(found), target


@pytest.mark.parametrize(
    ("page", "link", "expected"),
    [
        ("index.md", "docs/method.md#units", "method.md#units"),
        ("index.md", "jobs/configs", "reference/configurations.md"),
        ("method.md", "../benchmarks/README.md", "benchmarks.md"),
        ("method.md", "../benchmarks/results", "reference/raw-figures.md"),
        ("clusters.md", "Dockerfile", "files/cluster/Dockerfile"),
        ("faq.md", "tutorials/one-class.ipynb", "tutorials/one-class.md"),
        ("tutorials/one-class.md", "../method.md", "../method.md"),
        ("experiments/README.md", "../does-selection-matter.md", "../does-selection-matter.md"),
        ("changes.md", "https://example.org/a.md", "https://example.org/a.md"),
        ("method.md", "#units", "#units"),
    ],
)
def test_a_link_is_written_for_the_site(page, link, expected) -> None:
    assert Links(ROOT).translate(f"see [it]({link}).", page) == f"see [it]({expected})."


def test_a_picture_in_a_link_and_code_are_told_apart() -> None:
    text = "[![flow](docs/images/flow.svg)](docs/method.md) `[a](b)`\n```\n[c](d)\n```\n"
    expected = "[![flow](images/flow.svg)](method.md) `[a](b)`\n```\n[c](d)\n```\n"
    assert Links(ROOT).translate(text, "index.md") == expected


@pytest.mark.parametrize("link", ["nothing.md", "../../outside.md"])
def test_a_link_to_nothing_is_an_error(link) -> None:
    with pytest.raises(BrokenLinkError, match=r"docs/method\.md"):
        Links(ROOT).translate(f"[it]({link})", "method.md")


def test_files_that_are_no_pages_are_needed_on_the_site() -> None:
    links = Links(ROOT)
    links.translate("[a](Dockerfile) [b](kubernetes/base.yaml)", "clusters.md")
    assert links.needed == {"cluster/Dockerfile", "cluster/kubernetes/base.yaml"}
