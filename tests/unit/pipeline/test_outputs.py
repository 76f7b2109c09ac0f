"""An export goes to a new place on this machine, or is refused in a sentence."""

from pathlib import Path

import pytest
import yaml

from jobs.convert.__main__ import main as convert
from jobs.export.__main__ import parser
from jobs.export.command import export
from otcondense.errors import InputError
from otcondense.exports.outputs import new_output
from tests.generators.images import write_images
from tests.runs import start_run


@pytest.mark.parametrize("name", ["out", "new/folder/out"])
def test_a_new_place_is_accepted_and_left_free(tmp_path: Path, name: str) -> None:
    output = new_output(str(tmp_path / name))
    assert not output.exists()
    assert list(output.parent.iterdir()) == []


@pytest.mark.parametrize("address", ["s3://bucket/x.json", "foo://x", "file:///tmp/x"])
def test_an_address_is_refused_and_makes_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="must be a path of this machine"):
        new_output(address)
    assert list(tmp_path.iterdir()) == []


def test_what_exists_is_kept_and_nobody_is_told_to_delete_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("file", "link", "."):
        with pytest.raises(InputError, match="must not exist yet") as refused:
            new_output(str(tmp_path / name))
        assert "remove" not in str(refused.value)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("place", ["{}/file/x", "/proc/x", "/proc/a/b"])
def test_a_place_that_cannot_be_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="must be in a folder that can be written"):
        new_output(place.format(tmp_path))


@pytest.mark.parametrize("name", ["images/new", "images", "images/ant/x.json"])
def test_an_export_does_not_become_part_of_the_source(tmp_path: Path, name: str) -> None:
    write_images(tmp_path / "images")
    values = {"source": {"path": str(tmp_path / "images")}, "selection": {"methods": ["random"]}}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(values))
    run = start_run(tmp_path / "c.yaml", tmp_path / "run")
    options = parser().parse_args(["--method", "random", "--output", str(tmp_path / name)])
    with pytest.raises(InputError, match="must not be in the source"):
        export(run, options)


@pytest.mark.parametrize("command", ["from-public", "to-public", "to-diffusers"])
def test_a_conversion_overwrites_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    (tmp_path / "target").write_text("mine")
    options = {"from-public": ["--family", "DiT"], "to-diffusers": ["--autoencoder", "x"]}
    with pytest.raises(SystemExit) as end:
        convert(
            [command, str(tmp_path / "source"), str(tmp_path / "target"), *options.get(command, [])]
        )
    assert end.value.code == 2
    assert (tmp_path / "target").read_text() == "mine"
    assert "error: " in capsys.readouterr().err
