"""Published sizes and initialisation of the backbone.

tests/unit/checkpoints compares it with diffusers.
"""

import pytest
import torch

from otcondense.diffusion import MODELS, ModelConfig, build_model
from otcondense.diffusion.model import Transformer, position_table
from otcondense.errors import InputError


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("DiT-S/2", 33.0),
        ("DiT-B/2", 130.5),
        ("DiT-L/2", 458.1),
        ("DiT-XL/2", 675.1),
        ("SiT-XL/2", 675.1),
        ("DiT-S/8", 33.2),
    ],
)
def test_sizes_are_the_published_ones(name, millions):
    config = ModelConfig(name=name)
    with torch.device("meta"):
        model = Transformer(config.size, config, 1000, (4, 32, 32))
    count = sum(tensor.numel() for tensor in [*model.parameters(), model.pos_embed])
    assert count / 1e6 == pytest.approx(millions, abs=0.3 if name.endswith("8") else 0.051)


def test_all_names_resolve():
    assert len(MODELS) == 36
    assert all(ModelConfig(name=name).size.patch_size == int(name[-1]) for name in MODELS)


def test_initialisation():
    model = build_model(ModelConfig(), 10, (1, 8, 8))
    states = model.state_dict()
    zeroed = [name for name in states if "adaLN" in name or "final_layer" in name]
    assert len(zeroed) == 2 * 4 + 4
    assert all(not states[name].any() for name in zeroed)
    bound = (6 / (64 + 3 * 64)) ** 0.5
    assert states["blocks.0.attn.qkv.weight"].abs().max() == pytest.approx(bound, rel=0.01)
    assert states["y_embedder.embedding_table.weight"].std() == pytest.approx(0.02, rel=0.1)
    assert states["t_embedder.mlp.0.weight"].std() == pytest.approx(0.02, rel=0.05)
    assert not model(torch.randn(2, 1, 8, 8), torch.rand(2), torch.tensor([0, 10])).any()


def test_seed_decides_the_weights():
    first, again, other = (build_model(ModelConfig(), 10, (1, 8, 8), seed) for seed in (3, 3, 4))
    assert torch.equal(first.blocks[0].mlp.fc1.weight, again.blocks[0].mlp.fc1.weight)
    assert not torch.equal(first.blocks[0].mlp.fc1.weight, other.blocks[0].mlp.fc1.weight)


def test_positions_differ_by_row_and_column():
    table = position_table(3, 16)[0].view(3, 3, 16)
    assert torch.equal(table[0, 1, :8], table[2, 1, :8])
    assert torch.equal(table[1, 0, 8:], table[1, 2, 8:])
    assert len({tuple(row.tolist()) for row in table.view(9, 16)}) == 9


@pytest.mark.parametrize(
    ("settings", "shape", "message"),
    [
        ({"name": "DiT-M/2"}, (1, 8, 8), "DiT-M/2"),
        ({"width": 50, "num_heads": 4}, (1, 8, 8), "width 50 and 4 heads"),
        ({}, (1, 8, 6), "8 x 6"),
        ({}, (1, 9, 9), "divisible by the patch size 2"),
        ({"name": "DiT-demo/2", "learn_sigma": False}, (1, 8, 8), "learn_sigma"),
    ],
)
def test_bad_settings(settings, shape, message):
    with pytest.raises(InputError, match=message):
        build_model(ModelConfig(**settings), 10, shape)
