"""The card of a subset: what it says, that names stay text, and what it never tells."""

import re
from html.parser import HTMLParser

import pyarrow as pa
import pytest
import yaml
from huggingface_hub import DatasetCard, constants
from markdown_it import MarkdownIt

from jobs.answers.card_facts import public_name
from jobs.answers.known_sources import with_known
from jobs.run_directory.config import RunConfig
from otcondense.exports.card.card import card_text
from otcondense.exports.card.facts import About, Choice, ClassFacts, Measured, Origin
from otcondense.exports.card.licences import Licence
from otcondense.exports.card.sections import Files
from otcondense.report.answer import Compared, RandomComparison
from tests.generators.hub_uploads import hub_account
from tests.generators.page_runs import HOSTILE, make_run
from tests.verbs import call, output_of

LICENCE = ("--license", "cc-by-4.0")
ODD = (HOSTILE, "a\n---\nlicense: mit\n---\n# b", "| x | `y` ![z](http://z.z) www.z.zz", "--- #")
"""Names of classes that mean something in YAML, Markdown or HTML."""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("secret-place"), ("ant", HOSTILE))


def files(names, *, images=True):
    columns = [pa.field("image_id", pa.string()), pa.field("label", pa.int64())]
    schema = pa.schema([*columns, *([pa.field("image", pa.binary())] if images else [])])
    return Files(schema, 12, len(names))


def card_of(run, *words):
    return output_of("card", (run.store.root, *LICENCE, *words))


class Tags(HTMLParser):
    """The tags of a page, and the addresses of its links."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.links = set(), set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.links |= {value for name, value in attrs if name in ("href", "src")}


def rendered(card):
    body = card.split("---\n", 2)[2]
    return MarkdownIt("gfm-like", {"linkify": False}).render(body)


def test_the_card_of_a_run_says_what_a_stranger_asks(run):
    card = card_of(run, "--source-name", "Insects", "--source-url", "https://example.org/insects")
    wanted = [
        "[Insects](<https://example.org/insects>)",
        "[cc-by-4.0](<https://creativecommons.org/licenses/by/4.0/>)",
        "`geometry_aware`, budget of 4 a class",
        "| `kappa` | 1.05 |",
        "Chooses the subset with the least transport cost to its class.",
        "| class | images | chosen | objective | lower bound | gap at most | left out |",
        "| ant | 40 | 4 |",
        run.manifest_fingerprint("geometry_aware"),
        "otcondense 0.1.0",
        "@article{gadc2026,",
        "No metric was measured when this card was written.",
    ]
    assert [each for each in wanted if each not in card] == []
    assert DatasetCard(card).data.license == "cc-by-4.0"


def test_the_card_is_all_that_is_printed_and_the_same_each_time(run, tmp_path):
    printed = card_of(run)
    assert printed.startswith("---\nlicense: cc-by-4.0\n")
    assert printed.endswith("```\n")
    card_of(run, "--output", str(tmp_path / "card.md"))
    assert (tmp_path / "card.md").read_text() == printed


def test_no_place_of_this_machine_is_told(run):
    card = card_of(run)
    assert "secret-place" not in card


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("/home/me/net", "net"),
        ("~/net/", "net"),
        ("transformers:/home/me/net", "transformers:net"),
        ("transformers:org/net", "transformers:org/net"),
        ("vit_small.lvd142m", "vit_small.lvd142m"),
    ],
)
def test_of_a_network_in_a_folder_only_its_name_is_told(name, told):
    assert public_name(name) == told


@pytest.mark.parametrize("name", ODD)
def test_names_stay_text(name):
    about = About(
        licence=Licence("other", name, "https://example.org/l"),
        origin=Origin(name),
        choice=Choice(
            method="random",
            meaning=name,
            budget=name,
            seed=0,
            settings={"a": name},
            compared=name,
            encoder=name,
            others={name: name},
            versions={"x": name},
        ),
        classes=(ClassFacts(name, 9, 4, {"objective": 1.0, "lower_bound": 0.5, "gap": 0.5}),),
        measured=(Measured(name, name, 9, {"recall": 0.5, "recall_std": 0.1}),),
        compared=(Compared(name, name, 9, (RandomComparison("recall", 0.5, (0.4, 0.45)),)),),
    )
    card = card_text(about, files([name]), [name, "b"])
    values = yaml.safe_load(card.split("---\n", 2)[1])
    assert values["license"] == "other"
    (label,) = [e for e in values["dataset_info"]["features"] if e["name"] == "label"]
    assert label["dtype"]["class_label"]["names"] == {"0": name, "1": "b"}
    page = Tags(rendered(card))
    known = {"h1", "h2", "p", "table", "thead", "tbody", "tr", "th", "td", "code", "pre", "a"}
    assert page.tags <= known | {"strong", "ul", "li"}
    assert page.links == {"https://example.org/l"}
    section = card.partition("## How good the choice is")[2].partition("## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    assert {line.count("|") - line.count("\\|") for line in rows} == {8}


def test_a_page_of_a_run_has_every_heading_and_table(run):
    page = rendered(card_of(run))
    headings = re.findall(r"<h2>(.*?)</h2>", page)
    assert headings == [
        "Load it",
        "Columns",
        "How the images were chosen",
        "How good the choice is",
        "Limits",
        "Licence",
        "How to make it again",
        "Cite",
    ]
    assert page.count("<table>") == 6


def test_metrics_have_their_errors_and_draws_their_verdict():
    about = About(
        measured=(Measured("samples", "judge", 9, {"fid": 1.234, "fid_std": 0.056, "kid": 0.1}),),
        compared=(
            Compared("images", "judge", 9, (RandomComparison("coverage", 0.9, (0.5, 0.52)),)),
        ),
    )
    card = card_text(about, files(["a"]), ["a"])
    assert "| FID ↓ | 1.23 ± 0.06 |" in card
    assert "| coverage ↑ | 0.900 | 0.510 ± 0.014 | 2 of 2 | better |" in card
    assert "It was not compared with random draws" not in card


@pytest.mark.parametrize(
    ("method", "looked_at"),
    [("geometry_aware", "features of the network"), ("random", "nothing: every image of a class")],
)
def test_what_a_method_looked_at_is_said(run, method, looked_at):
    card = card_of(run, "--method", method)
    assert f"| looked at | {looked_at}" in card
    assert ("The images were compared by features of" in card) is (method != "random")


@pytest.mark.parametrize(
    ("digits", "given", "name"),
    [
        ("data/digits", Origin(), "scikit-learn's handwritten digits"),
        ("data/digits", Origin("Mine"), "Mine"),
        (None, Origin(), None),
    ],
)
def test_a_source_that_the_run_brings_has_a_name(digits, given, name):
    paths = {"source": {"path": "data/digits/train"}, "held_out": {"path": "data/digits/held_out"}}
    config = RunConfig(run="run", digits=digits, **paths)
    origin = with_known(given, config)
    assert origin.name == name
    assert (origin.url is None) is (name in ("Mine", None))
    assert "data/" not in str(origin)


def test_without_images_the_card_says_so(run):
    card = card_of(run, "--no-images")
    assert "It holds their ids, not the images." in card
    assert "The images themselves are not passed on here" in card
    assert "dtype: image" not in card


def test_many_classes_are_one_row():
    measures = {"objective": 1.0, "lower_bound": 0.9, "gap": 0.1}
    classes = tuple(ClassFacts(f"c{n}", 10, 2, measures) for n in range(101))
    card = card_text(About(classes=classes), files(range(101)), ["c"])
    assert "c7" not in card
    assert "| **mean of 101 classes** | 10 | 2 | 1 | 0.9 | 10.0 % | - |" in card


MISTAKES = [
    (("--license", "cc-by-40"), "did you mean cc-by-4.0"),
    (("--license", "CC BY 4.0"), "must be an id that the Hub knows"),
    (("--license", "other"), "needs --license-name and --license-link"),
    (("--license", "mit", "--license-name", "x"), "no other id takes them"),
    (("--license", "other", "--license-name", "x", "--license-link", "x"), "must be an address"),
    ((*LICENCE, "--source-url", "file:///home/me"), "--source-url must be an address"),
    ((*LICENCE, "--repository", "name"), "--repository must be the name of a data set"),
    ((*LICENCE, "--method", "k_center"), "must be one of the run's subsets"),
    ((), "--license"),
]


@pytest.mark.parametrize(("words", "sentence"), MISTAKES)
def test_a_mistake_ends_in_one_sentence(run, capsys, words, sentence):
    with pytest.raises(SystemExit) as ended:
        call("card", (run.store.root, *words))
    assert ended.value.code == 2
    captured = capsys.readouterr()
    assert sentence in captured.err
    assert captured.out == ""


def test_the_hub_is_asked_whether_a_card_is_valid(run, monkeypatch, capsys):
    with hub_account("org/subset") as (address, _):
        monkeypatch.setattr(constants, "ENDPOINT", address)
        assert card_of(run, "--validate").startswith("---\n")
        monkeypatch.setattr("tests.generators.hub_uploads.LICENCES", ("mit",))
        with pytest.raises(SystemExit):
            call("card", (run.store.root, *LICENCE, "--validate"))
    said = capsys.readouterr().err
    assert "the card cannot be validated" in said
    assert "must be one of the list, found cc-by-4.0" in said
