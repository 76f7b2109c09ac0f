"""Checks of the directories of weights and of the weights that a configuration needs."""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from jobs.doctor import __main__ as doctor
from jobs.doctor.weights import check_folder, weight_folders

Report = Callable[..., dict[str, list[dict[str, str]]]]
CONFIG = "jobs/configs/imagenet-10k.yaml"


@pytest.mark.parametrize(
    ("kind", "on_cluster", "verdict"),
    [
        ("nfs4", True, "ok"),
        ("fuse.gcsfuse", True, "ok"),
        ("ext4", True, "note"),
        ("overlay", True, "note"),
        ("ext4", False, "ok"),
    ],
)
def test_weights_of_a_cluster_are_on_shared_storage(
    kind: str, *, on_cluster: bool, verdict: str
) -> None:
    finding = check_folder("TORCH_HOME", Path("/weights"), kind, on_cluster=on_cluster)
    assert (finding.name, finding.verdict) == ("TORCH_HOME", verdict)
    assert ("set TORCH_HOME on every node" in finding.remedy) == (verdict == "note")


def test_the_directories_are_those_of_the_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", "/elsewhere")
    from otcondense.fetched import fetched_path

    folders = weight_folders()
    assert folders["TORCH_HOME"] == Path("/elsewhere")
    assert fetched_path("https://host/a.pt").is_relative_to(folders["TORCH_HOME"])


@pytest.fixture
def report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Report:
    """Runs the doctor without a compiler on PATH, and returns its findings by name."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)

    def run(*words: str) -> dict[str, list[dict[str, str]]]:
        with suppress(SystemExit):  # something is wrong
            doctor.main(["--storage", str(tmp_path), "--json", *words])
        found: dict[str, list[dict[str, str]]] = {}
        for finding in json.loads(capsys.readouterr().out)["findings"]:
            found.setdefault(finding["name"], []).append(finding)
        return found

    return run


def test_weights_and_compiler_of_a_configuration_are_checked(
    report: Report, tmp_path: Path
) -> None:
    (tmp_path / "vae").mkdir()
    (tmp_path / "vae" / "model.safetensors").write_bytes(b"x" * 2_000_000)
    words = (f"latents.model={tmp_path / 'vae'}", "tokens.file=/nowhere/tokens.safetensors")
    found = report("--config", CONFIG, "source.path=x", *words)
    (present,) = (each for each in found["weights"] if each["seen"].startswith("latents: "))
    assert present["verdict"] == "ok"
    assert present["seen"].endswith("1 file, 2.0 MB")
    (absent,) = (each for each in found["weights"] if "/nowhere/tokens" in each["seen"])
    assert absent["verdict"] == "wrong"
    assert absent["mend"].startswith("copy /nowhere/tokens.safetensors here")
    assert [each["verdict"] for each in found["C compiler"]] == ["wrong"]
    assert "models.l2 compiles" in found["C compiler"][0]["seen"]


def test_without_a_configuration_the_compiler_and_encoders_of_folders_are_noted(
    report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    file = tmp_path / "otcondense/encoders/tf_efficientnet_lite1.safetensors"
    file.parent.mkdir(parents=True)
    file.touch()
    found = report()
    (encoders,) = found["encoders for run FOLDER"]
    assert encoders["verdict"] == "ok"
    assert "here: " in encoders["seen"]
    assert "efficientnet-lite1" in encoders["seen"].partition(";")[0]
    assert [each["verdict"] for each in found["C compiler"]] == ["note"]
    assert "weights" not in found


def test_settings_need_a_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        doctor.main(["source.path=x"])
    assert "name it with --config FILE" in capsys.readouterr().err
