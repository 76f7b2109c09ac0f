"""A process computes on a GPU that it was promised, or not at all."""

import pytest
import torch

from otcondense.devices import resolve_device
from otcondense.encoders import EncoderConfig
from otcondense.errors import InputError
from otcondense.representations import LatentConfig
from pipeline.feature_work import FeatureWork
from pipeline.representation_work import RepresentationWork
from pipeline.work import Work

without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
WORKS: list[Work] = [
    FeatureWork(EncoderConfig(name="test_resnet"), "", 10**6),
    RepresentationWork("latents", LatentConfig(), "", "{}", 10**6),
]


@pytest.mark.parametrize("assigned", [None, True, False])
def test_cpu_is_always_the_cpu(assigned: bool | None) -> None:
    assert resolve_device("cpu", assigned=assigned) == "cpu"


def test_a_worker_without_a_gpu_computes_on_the_cpu_even_if_it_sees_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert resolve_device("auto", assigned=False) == "cpu"
    assert resolve_device("auto", assigned=True) == "cuda"
    assert resolve_device("auto") == "cuda"


def test_a_worker_without_a_gpu_refuses_to_use_one() -> None:
    with pytest.raises(InputError, match="the cluster gave this one none"):
        resolve_device("cuda", assigned=False)


@without_gpu
def test_auto_without_a_cluster_takes_what_there_is() -> None:
    assert resolve_device("auto") == "cpu"


@without_gpu
@pytest.mark.parametrize(("setting", "assigned"), [("cuda", None), ("cuda", True), ("auto", True)])
def test_a_gpu_that_cannot_be_used_is_an_error(setting: str, assigned: bool | None) -> None:
    with pytest.raises(InputError, match=r"torch \S+ \(built .*driver"):
        resolve_device(setting, assigned=assigned)  # type: ignore[arg-type]


@without_gpu
@pytest.mark.parametrize(
    ("work", "setting"),
    list(zip(WORKS, ["device=cpu for test_resnet", "latents.device=cpu"], strict=True)),
)
def test_a_network_is_not_loaded_on_the_cpu_of_a_worker_with_a_gpu(
    work: Work, setting: str
) -> None:
    with pytest.raises(InputError, match=f"the cluster gave this worker a GPU.* or set {setting}$"):
        work.load(assigned=True)


@without_gpu
def test_actors_that_were_given_a_gpu_do_not_start_without_one(tmp_path: object) -> None:
    from actors.sampler import Sampler
    from actors.scorer import CheckpointPlace, Scorer
    from otcondense.diffusion import DenoisingConfig

    with pytest.raises(InputError, match=r"cannot use one.* samplers\.num_gpus=0$"):
        Sampler(str(tmp_path), "cuda")
    place = CheckpointPlace(str(tmp_path), "none")
    with pytest.raises(InputError, match=r"cannot use one.* samplers\.num_gpus=0$"):
        Scorer(str(tmp_path), place, DenoisingConfig(), "cuda")
