"""The hardware that --dry-run forecasts for."""

from pathlib import Path

import pytest

from jobs.command.settings import load_config
from jobs.forecasts import hardware_choice
from jobs.forecasts.hardware_choice import chosen_hardware, of_nodes
from jobs.run_directory.config import RunConfig
from otcondense.errors import InputError
from otcondense.forecast.hardware import PRESETS
from tests.verbs import call


def config(name: str) -> RunConfig:
    return load_config(f"jobs/configs/{name}.yaml", ["source.path=images"])


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_by_its_name(name: str) -> None:
    assert chosen_hardware(name, config("imagenet-10k")) == PRESETS[name]


def test_a_run_that_needs_gpus_gets_a_node_of_them_by_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(hardware_choice, "_gpus_here", lambda: 0)
    assert chosen_hardware(None, config("imagenet-10k")).name == "8xH100"
    assert chosen_hardware(None, config("my-folder")).name == "this machine"
    monkeypatch.setattr(hardware_choice, "_gpus_here", lambda: 2)
    assert chosen_hardware(None, config("imagenet-10k")).gpus == 2


def test_the_settings_of_the_cluster_come_before_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    path = "jobs/configs/imagenet-10k.yaml"
    settings = ["source.path=images", "cluster.gpus=16", "cluster.cpus=400"]
    found = chosen_hardware(None, load_config(path, settings))
    assert (found.nodes, found.gpus_per_node, found.cores_per_node) == (2, 8, 200)
    found = chosen_hardware(None, load_config(path, [*settings[:1], "cluster.gpus=4"]))
    assert (found.nodes, found.gpus_per_node, found.cores_per_node) == (1, 4, 96)


def test_a_file_names_what_differs(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("{nodes: 4, gpu_price: 2.5}")
    found = chosen_hardware(str(path), config("imagenet-10k"))
    assert (found.gpus, found.gpu_price, found.name) == (32, 2.5, str(path))
    path.write_text("{node: 4}")
    with pytest.raises(InputError, match="did you mean nodes"):
        chosen_hardware(str(path), config("imagenet-10k"))


def test_another_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(InputError, match=r"8xH100, .* here, or a \.yaml file, found '9xH100'"):
        chosen_hardware("9xH100", config("imagenet-10k"))
    with pytest.raises(InputError, match="needs the address of one in RAY_ADDRESS"):
        chosen_hardware("cluster", config("imagenet-10k"))


@pytest.mark.parametrize(
    ("nodes", "expected"),
    [
        ([{"CPU": 96, "GPU": 8}], (1, 8, 96)),
        ([{"CPU": 96, "GPU": 8}, {"CPU": 96, "GPU": 8}, {"CPU": 64}], (2, 8, 128)),
        ([{"CPU": 0}, {"CPU": 8}, {"CPU": 8}], (2, 0, 8)),
    ],
)
def test_the_nodes_of_a_cluster(
    nodes: list[dict[str, float]], expected: tuple[int, int, int]
) -> None:
    found = of_nodes(nodes)
    assert (found.nodes, found.gpus_per_node, found.cores_per_node) == expected


def test_a_cluster_without_cpus_is_refused() -> None:
    with pytest.raises(InputError, match="needs a cluster with CPUs"):
        of_nodes([{"CPU": 0}])


def test_hardware_without_a_dry_run_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--config=jobs/configs/my-folder.yaml", f"--run={tmp_path / 'run'}"]
    with pytest.raises(SystemExit) as stop:
        call("run", [*arguments, "source.path=images", "--on=8xH100"])
    assert stop.value.code == 2
    assert "--on is for --dry-run only" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
