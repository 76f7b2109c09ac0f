"""The source of a run is walked through once, by the stage that starts it."""

from pathlib import Path

import pytest
import yaml

from jobs.command.settings import load_config
from jobs.extract_features.prepare import prepare
from jobs.run_directory.budgets import check_budgets
from jobs.run_directory.config import RunConfig
from jobs.run_directory.listing import run_listing
from jobs.run_directory.opening import reading_run, working_run
from otcondense.datasets import files, local_trees
from otcondense.datasets.stored import listing_file
from tests.generators.images import write_images


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    values = {
        "run": str(tmp_path / "run"),
        "source": {"path": str(write_images(tmp_path / "images"))},
        "selection": {"budget": 2},
    }
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(values))
    return load_config(str(tmp_path / "c.yaml"), [])


@pytest.fixture
def walks(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    made: list[object] = []

    def local_tree(*given: object) -> object:
        made.append(given)
        return local_trees.local_tree(*given)

    monkeypatch.setattr(files, "local_tree", local_tree)
    return made


def test_a_start_and_all_later_stages_walk_once(config: RunConfig, walks: list[object]) -> None:
    with working_run(config, may_start=True) as run:
        prepare(run)
        check_budgets(run)
        before = [record.image_id for record in run_listing(run).records]
    assert len(walks) == 1
    for _ in range(3):
        later = reading_run(config)
        check_budgets(later)
        assert [record.image_id for record in run_listing(later).records] == before
    with working_run(config, check=True):
        pass
    assert len(walks) == 1


def test_each_start_of_the_extraction_lists_the_source_again(
    config: RunConfig, walks: list[object]
) -> None:
    for count in (1, 2):
        with working_run(config, may_start=True) as run:
            prepare(run)
            if count == 1:
                folder = Path(config.source.path)
                image = next(folder.rglob("*.png"))
                (image.parent / "another.png").write_bytes(image.read_bytes())
            else:
                assert "another.png" in {Path(r.path).name for r in run_listing(run).records}
    assert len(walks) == 2


def test_a_run_without_a_listing_scans_its_source(config: RunConfig, walks: list[object]) -> None:
    with working_run(config, may_start=True) as run:
        prepare(run)
    run.store.remove(listing_file(config.source))
    assert len(run_listing(reading_run(config))) == 6
    assert len(walks) == 2
