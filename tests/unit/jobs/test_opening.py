"""A run directory is recognised by its marker; nothing of anybody else is touched."""

import json
import os
from pathlib import Path

import pytest
import yaml

from jobs.command.settings import load_config
from jobs.run_directory.config import RunConfig
from jobs.run_directory.marker import DESCRIPTION, MARKER, is_description_damaged
from jobs.run_directory.opening import read_run, reading_run, working_run
from otcondense.errors import InputError
from otcondense.store import Store
from pipeline.extraction_config import ExtractionConfig, RepresentationResources
from tests.generators.images import write_images

PREVIOUS = Path(__file__).parents[2] / "golden" / "run_of_version_0.1.0.yaml"
"""The `config.yaml` of a run that the version before `run.json` wrote."""
DAMAGED = (b"layout: 1\n", b"layout: [", b"\0", b"", b"layout: 2020-13-45", b"[" * 3000, b"\xff")
"""Without a key, no YAML, no text, empty, a date that does not exist, nested too deep, no UTF-8."""


@pytest.fixture
def config(tmp_path: Path) -> RunConfig:
    """A run of two classes of three images."""
    values = {
        "run": str(tmp_path / "run"),
        "source": {"path": str(write_images(tmp_path / "images"))},
        "selection": {"budget": 2},
    }
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(values))
    return load_config(str(tmp_path / "c.yaml"), [])


def changed(config: RunConfig, **source: object) -> RunConfig:
    return config.model_copy(update={"source": config.source.model_copy(update=source)})


def start(config: RunConfig) -> Path:
    with working_run(config, may_start=True) as run:
        pass
    return Path(run.store.root)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


FOREIGN = {
    "config.yaml": b"learning_rate: 0.1\n",
    "run.json": b'{"name": "theirs", "schema": "1.0"}',
    "thesis.tex": b"x",
    "features/notes.txt": b"x",
    "features/table.parquet": b"PAR1PAR1",
    "src/.tmp-cache": b"x",
    ".tmp-0123456789abcdef0123456789abcdef/x": b"x",
}


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("may_start", [True, False])
def test_a_directory_of_something_else_is_refused_and_not_touched(
    config: RunConfig, name: str, *, may_start: bool
) -> None:
    path = Path(config.run) / name
    path.parent.mkdir(parents=True)
    path.write_bytes(FOREIGN[name])
    with (
        pytest.raises(InputError, match="files that no run made, such as"),
        working_run(config, may_start=may_start),
    ):
        raise AssertionError
    assert contents(Path(config.run)) == {name: FOREIGN[name]}


def test_our_files_beside_others_stay_a_run_and_leave_them_alone(config: RunConfig) -> None:
    root = start(config)
    (root / "thesis.tex").write_text("x")
    (root / "features").mkdir()
    (root / "features" / ".tmp-mine").write_text("x")
    before = contents(root)
    start(config)
    assert contents(root) == before


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("source.path=nowhere", "nowhere must be a folder"),
        ("held_out.path=nowhere", "nowhere must be a folder"),
        ("selection.budget=4", "selection.budget is 4, but class ant has 3 images"),
        ("selection.include=[ant/9.png]", "must name images"),
    ],
)
def test_a_start_that_fails_claims_nothing(
    config: RunConfig, tmp_path: Path, setting: str, message: str
) -> None:
    settings = [setting, "selection.methods=[geometry_aware]"]
    mistaken = load_config(str(tmp_path / "c.yaml"), settings)
    with pytest.raises(InputError, match=message):
        start(mistaken)
    assert not Path(config.run).exists()
    root = start(config)
    before = contents(root)
    with pytest.raises(InputError):
        start(mistaken)
    assert contents(root) == before


@pytest.mark.parametrize("content", [*DAMAGED, None], ids=range(len(DAMAGED) + 1))
@pytest.mark.parametrize("name", [MARKER, DESCRIPTION])
def test_a_damaged_or_missing_marker_is_rewritten(
    config: RunConfig, name: str, content: bytes | None
) -> None:
    root = start(config)
    before = contents(root)
    (root / name).unlink()
    if content is not None:
        (root / name).write_bytes(content)
    assert read_run(str(root)).config == config
    assert is_description_damaged(Store(str(root))) == (name == DESCRIPTION)
    start(config)
    assert contents(root) == before


@pytest.mark.parametrize("name", [MARKER, DESCRIPTION])
def test_no_flipped_bit_in_a_marker_stops_a_run(config: RunConfig, name: str) -> None:
    root = start(config)
    content = (root / name).read_bytes()
    for place in range(0, 8 * len(content), 797):
        flipped = bytearray(content)
        flipped[place // 8] ^= 1 << place % 8
        (root / name).write_bytes(flipped)
        assert read_run(str(root)).config == config
        start(config)
        assert (root / name).read_bytes() == content


def test_results_of_ours_make_a_run_even_without_both_markers(config: RunConfig) -> None:
    import pyarrow as pa

    from otcondense.store import write_table

    root = start(config)
    table = pa.table({"a": [1]})
    name = "features/x-00000000/class_name=a/part-0.parquet"
    write_table(Store(str(root)), name, table, fingerprint="x")
    for name in (MARKER, DESCRIPTION):
        (root / name).unlink()
    with pytest.raises(
        InputError, match="missing or damaged; run any stage again with its configuration"
    ):
        read_run(str(root))
    start(config)
    assert read_run(str(root)).config == config


@pytest.mark.parametrize(
    "name",
    ["runs/a/features/x-00000000/class_name=a/part-0.parquet", "chosen.parquet"],
)
def test_a_result_of_ours_elsewhere_makes_no_run(config: RunConfig, name: str) -> None:
    import pyarrow as pa

    from otcondense.store import write_table

    store = Store(config.run)
    store.write_bytes("config.yaml", b"title: thesis")
    store.write_bytes("run.json", b"{}")
    store.write_bytes("report.html", b"mine")
    write_table(store, name, pa.table({"a": [1]}), fingerprint="x")
    before = contents(Path(config.run))
    with pytest.raises(InputError, match="files that no run made"):
        start(config)
    assert contents(Path(config.run)) == before


@pytest.mark.parametrize("name", [MARKER, DESCRIPTION])
def test_a_pipe_in_the_place_of_a_marker_is_not_waited_for(config: RunConfig, name: str) -> None:
    root = start(config)
    (root / name).unlink()
    os.mkfifo(root / name)
    assert read_run(str(root)).config == config
    start(config)
    assert (root / name).is_file()


def test_a_mistake_that_the_work_finds_leaves_the_marker_as_it_was(config: RunConfig) -> None:
    root = start(config)
    before = contents(root)
    encoder = config.encoder.model_copy(update={"name": "resnet999"})
    mistaken = config.model_copy(update={"encoder": encoder})
    with pytest.raises(InputError, match="no such model"), working_run(mistaken):
        raise InputError("no such model")
    assert contents(root) == before


def test_a_new_run_whose_work_fails_at_once_is_no_run(config: RunConfig) -> None:
    with pytest.raises(InputError, match="no such file"), working_run(config, may_start=True):
        raise InputError("no such file")
    assert not Path(config.run).exists()
    start(config)


def test_a_new_run_that_has_results_stays_one(config: RunConfig) -> None:
    with pytest.raises(InputError), working_run(config, may_start=True) as run:  # noqa: PT012
        run.store.write_bytes("features/x", b"x")
        raise InputError("too many unreadable images")
    assert read_run(config.run).config == config


def test_a_run_of_another_layout_is_refused(config: RunConfig) -> None:
    root = start(config)
    store = Store(str(root))
    store.write_json(MARKER, {**store.read_json(MARKER), "layout": 2})
    with pytest.raises(InputError, match="must have layout 1, found 2"):
        start(config)


def test_another_source_is_refused_without_advice_to_delete(
    config: RunConfig, tmp_path: Path
) -> None:
    root = start(config)
    before = contents(root)
    other = changed(config, path=str(write_images(tmp_path / "other")))
    with pytest.raises(InputError, match=r"another source \(source.path: .* name another") as no:
        start(other)
    assert "fresh" not in str(no.value)
    assert "delete" not in str(no.value)
    assert contents(root) == before


SPELLINGS = ("{}/", "{}/../images", "file://{}", "images", "./images/", "linked")


@pytest.mark.parametrize("first", ["{}", *SPELLINGS])
@pytest.mark.parametrize("second", ["{}", *SPELLINGS])
def test_the_spelling_of_a_path_does_not_matter(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str, second: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "linked").symlink_to("images")
    paths = [spelling.format(tmp_path / "images") for spelling in (first, second)]
    start(changed(config, path=paths[0]))
    with working_run(changed(config, path=paths[1])) as run:
        assert run.config.source.path == paths[0]
    assert reading_run(changed(config, path=paths[1])).config.source.path == paths[0]


def test_a_relative_path_from_elsewhere_is_explained(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    root = start(changed(config, path="images"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=f"is relative to {tmp_path}; start the command there"):
        reading_run(read_run(str(root)).config)


def test_a_run_of_the_previous_version_is_opened_and_gets_a_marker(
    config: RunConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = PREVIOUS.read_text()
    earlier = yaml.safe_load(text)["configuration"]
    root = Path(config.run)
    root.mkdir()
    (root / DESCRIPTION).write_text(text)
    read = read_run(str(root)).config
    assert read.source.path == earlier["source"]["path"]
    assert read.selection.budget == earlier["selection"]["budget"]
    with working_run(read) as run:
        assert run.store.exists(MARKER)
    assert read_run(str(root)).config == read


def test_readers_take_no_lock(config: RunConfig) -> None:
    start(config)
    with working_run(config) as run:
        assert reading_run(config).store == run.store
        with pytest.raises(InputError, match="held by another driver"):
            start(config)


def test_the_marker_has_a_schema_and_a_digest(config: RunConfig) -> None:
    root = start(config)
    values = json.loads((root / MARKER).read_text())
    assert values["schema"] == "otcondense-run"
    assert len(values["content"]) == 64
    assert values["directory"] == str(Path.cwd())


RETIRED = [
    (section, key)
    for section, model in (
        ("extraction", ExtractionConfig),
        ("representations", RepresentationResources),
    )
    for key in sorted(model.RETIRED)
]


@pytest.mark.parametrize(("section", "key"), RETIRED)
def test_a_setting_of_earlier_versions_is_passed_over_by_commands(
    tmp_path: Path, config: RunConfig, section: str, key: str
) -> None:
    """A run that names it can still be opened; it never changed a result."""
    values = yaml.safe_load((tmp_path / "c.yaml").read_text())
    (tmp_path / "old.yaml").write_text(yaml.safe_dump({**values, section: {key: 1}}))
    assert load_config(str(tmp_path / "old.yaml"), []) == config


def test_the_device_of_selections_is_passed_over(tmp_path: Path, config: RunConfig) -> None:
    setting = "selection.settings.geometry_aware.device=cuda"
    assert load_config(str(tmp_path / "c.yaml"), [setting]) == config
