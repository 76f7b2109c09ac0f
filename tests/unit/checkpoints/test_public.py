"""Public checkpoints: read, named, converted both ways, refused."""

import pytest
import torch
from safetensors.torch import save_file

from otcondense.checkpoints import PublicModel, from_public, read_public, to_public
from otcondense.diffusion import ModelConfig, build_model
from otcondense.errors import InputError

SHAPE = (4, 16, 16)
SIZE = {"width": 64, "depth": 3, "num_heads": 4}


@pytest.fixture
def model():
    made = build_model(ModelConfig(name="SiT-S/2", **SIZE), 7, SHAPE)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
    return made.eval()


def outputs(model, t, sign=1):
    x = torch.randn(3, *SHAPE, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        return sign * model(x, t, torch.tensor([0, 6, 7]))


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_there_and_back(suffix, model, tmp_path):
    path = str(tmp_path / f"public{suffix}")
    state = to_public(model)
    if suffix == ".pt":
        torch.save(
            {"ema": {f"module.{name}": value for name, value in state.items()}, "model": {}}, path
        )
    else:
        save_file(state, path)
    again, config = from_public(read_public(path), PublicModel("SiT", num_heads=4))
    assert config.name == "SiT-S/2"
    assert again.num_classes == 7
    assert again.image_shape == SHAPE
    t = torch.tensor([0.1, 0.5, 0.9])
    assert torch.equal(outputs(again, t), outputs(model, t))


def test_dimensions_of_a_named_size_say_all():
    config = ModelConfig(name="DiT-S/4", learn_sigma=True)
    made, _ = from_public(to_public(build_model(config, 5, (4, 8, 8))), PublicModel("DiT"))
    assert made.blocks[0].attn.num_heads == 6
    assert made.patch_size == 4


def test_opposite_time_is_reversed(model):
    """REPA's network at t, and what is made of it at 1 - t, are velocities of opposite sign."""
    ours, _ = from_public(to_public(model), PublicModel("SiT", num_heads=4, data_first=True))
    for t in (torch.tensor([0.0, 0.3, 1.0]), torch.tensor([0.9, 0.05, 0.5])):
        torch.testing.assert_close(
            outputs(ours, 1 - t), outputs(model, t, sign=-1), rtol=1e-5, atol=1e-5
        )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("pos_embed"), "missing: pos_embed"),
        (
            lambda state: state.pop("blocks.1.mlp.fc2.bias"),
            r"1 of \d+ tensors differ: blocks.1.mlp.fc2.bias \(missing\)$",
        ),
        (lambda state: state.update(extra=torch.zeros(1)), r"extra \(not of this network\)$"),
        (
            lambda state: state.update({"blocks.0.attn.qkv.bias": torch.zeros(5)}),
            r"blocks.0.attn.qkv.bias \(expected 192, found 5\)$",
        ),
    ],
)
def test_other_tensors_are_refused(change, message, model):
    state = to_public(model)
    change(state)
    with pytest.raises(InputError, match=message):
        from_public(state, PublicModel("SiT", num_heads=4))


def test_heads_of_no_named_size_must_be_given(model):
    with pytest.raises(
        InputError, match="num_heads must be given for a model of width 64 and depth 3"
    ):
        from_public(to_public(model), PublicModel("SiT"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be read"),
        (b"no checkpoint", "cannot be read"),
        (None, "checkpoint file .* does not exist"),
    ],
)
@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_damaged_files(content, message, suffix, tmp_path):
    path = tmp_path / f"public{suffix}"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_public(str(path))


def test_a_pickle_that_runs_code_is_refused(tmp_path):
    torch.save({"ema": print}, tmp_path / "evil.pt")
    with pytest.raises(InputError, match="only tensors"):
        read_public(str(tmp_path / "evil.pt"))


def test_a_file_without_tensors_is_refused(tmp_path):
    torch.save({"ema": {"step": 3}}, tmp_path / "other.pt")
    with pytest.raises(InputError, match="must have named tensors"):
        read_public(str(tmp_path / "other.pt"))
