"""What a run with groups tells people: groups are called groups, and have one proof together."""

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from jobs.answers.card_facts import card_facts
from jobs.answers.read import read_answer
from jobs.answers.selections import read_units, unrepresented
from jobs.report.data import collect
from jobs.run_directory.budgets import check_budgets
from jobs.run_directory.groups import selection_groups
from jobs.run_directory.run import Run
from jobs.run_directory.subset_manifest import stored_composed
from jobs.select_subset.stage import select_subset
from jobs.status.command import status
from jobs.trackers.figures import selection_rows
from otcondense.exports.card.facts import Origin
from otcondense.exports.card.sections import Files, body
from otcondense.report import render_report
from otcondense.report.answer import answer_lines
from otcondense.store import read_class_selection, read_manifest
from tests.generators.grouped_runs import grouped_run
from tests.unit.dashboard.pages import client

METHODS = ["geometry_aware", "random"]
WORD = re.compile(r"\bclass(es)?\b", re.IGNORECASE)


@pytest.fixture(scope="module", params=["keep", "ignore"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a run whose subsets are chosen; tests only read it."""
    made = grouped_run(tmp_path_factory.mktemp("grouped"), request.param, methods=METHODS)
    select_subset(made)
    return made


def test_the_report_shows_each_group_with_its_own_selections(run: Run) -> None:
    data = collect(run)
    sizes = selection_groups(run).sizes
    assert [each.class_name for each in data.class_sheets] == sorted(sizes)
    pairs = [(each.class_name, each.method) for each in data.class_cards]
    assert pairs == [(name, method) for name in sorted(sizes) for method in METHODS]
    assert [each.num_images for each in data.class_cards] == [sizes[name] for name, _ in pairs]
    for sheet in data.class_sheets:
        for method, images in sheet.images.items():
            chosen = read_class_selection(
                run.store, run.selection_directory(method), sheet.class_name
            )
            expected = [chosen.image_ids[row] for row in chosen.indices]
            assert [each.image_id for each in images] == expected


def _card(run: Run) -> str:
    about = card_facts(run, "geometry_aware", None, Origin())
    manifest = read_manifest(run.store, run.manifest("geometry_aware"))
    return body(about, Files(manifest.schema, manifest.num_rows, 3))


def _page(run: Run) -> str:
    name = next(iter(selection_groups(run).sizes))
    addresses = ("/", "/map", f"/class?method=random&name={quote(name)}", "/answer")
    return "\n".join(client(run).get(each).text for each in addresses)


SHOWN: dict[str, Callable[[Run], str]] = {
    "card": _card,
    "report": lambda run: render_report(collect(run)),
    "page": _page,
    "answer": lambda run: "\n".join(answer_lines(read_answer(run))),
    "start": lambda run: "\n".join(check_budgets(run)),
}
"""What a run tells people, by the place."""
OF_THE_SOURCE = (
    r"(in|of) 3 classes",
    r"PATH/CLASS/IMAGE, also with folders inside a class",
    r"`(class_\w+|label|choice|rank|cross_entropy)` \|.*",
    r"of each class|\d+ a class|(its|the image's) class",
)
"""Where classes of the source are meant."""
NOT_READ = (
    r"(?s)<(style|script)\b.*?</\1>|<pre.*?</pre>",
    r' (class|id|href|src|action|aria-labelledby|data-\w+)="[^"]*"',
)
"""Parts of a page that nobody reads."""


@pytest.mark.parametrize("place", SHOWN)
def test_what_is_chosen_from_is_called_a_group(place: str, run: Run) -> None:
    text = SHOWN[place](run)
    for pattern in (*NOT_READ, *OF_THE_SOURCE):
        text = re.sub(pattern, "", text)
    found = [text[max(0, each.start() - 60) : each.end() + 30] for each in WORD.finditer(text)]
    assert found == []


def test_the_budget_is_that_of_a_class_or_of_all_images(run: Run) -> None:
    expected = {"keep": "8 a class", "ignore": "16 in all"}[
        str(run.config.groups and run.config.groups.labels)
    ]
    assert f"budget of {expected}" in _card(run)
    assert collect(run).facts["budget"] == expected
    assert collect(run).facts["groups"] == str(len(selection_groups(run).sizes))


def test_the_card_ends_its_table_with_all_groups_together(run: Run) -> None:
    found = stored_composed(run, "geometry_aware")
    assert found is not None
    sizes = selection_groups(run).sizes
    (last,) = [line for line in _card(run).splitlines() if "together**" in line]
    cells = [each.strip() for each in last.strip("|").split("|")]
    chosen = len(read_manifest(run.store, run.manifest("geometry_aware")))
    assert cells[:3] == [f"**{len(sizes)} groups together**", str(sum(sizes.values())), str(chosen)]
    assert cells[3:5] == [f"{found.objective:.4g}", f"{found.lower_bound:.4g}"]


def test_the_share_left_out_is_the_same_everywhere(run: Run) -> None:
    share = unrepresented(read_units(run, "geometry_aware"))
    assert dict(selection_rows(run))["geometry_aware"]["left_out_share"] == share
    together = card_facts(run, "geometry_aware", None, Origin()).together
    assert together is not None
    assert together["left_out_share"] == share
    assert read_answer(run).subsets[0].unrepresented == share


def test_status_shows_the_subsets_of_the_present_settings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for budget in (16, 20):
        run = grouped_run(tmp_path, "ignore", methods=["geometry_aware"], budget=budget)
        select_subset(run)
    capsys.readouterr()
    status(run.store.root, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    found = stored_composed(run, "geometry_aware")
    assert found is not None
    assert [line for line in lines if "objective of" in line] == [
        f"geometry_aware: {found.words()}"
    ]


@pytest.mark.parametrize("polish", [False, True])
def test_the_end_of_the_stage_counts_selections_and_groups(
    polish: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = grouped_run(tmp_path, "ignore", methods=["geometry_aware"], polish=polish)
    select_subset(run)
    printed = capsys.readouterr().out
    count = len(selection_groups(run).sizes)
    assert f": {count} selections from {count} groups\n" in printed
    assert (f": 1 polished choice from {count} groups\n" in printed) == polish
