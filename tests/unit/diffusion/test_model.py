"""The backbone against published sizes, against diffusers, and its initialisation."""

import pytest
import torch

from otcondense.diffusion import MODELS, ModelConfig, build_model
from otcondense.diffusion.model import Transformer, position_table
from otcondense.errors import InputError

SHAPE = (4, 16, 16)


@pytest.mark.parametrize(
    ("name", "millions"),
    [("DiT-S/2", 33.0), ("DiT-B/2", 130.5), ("DiT-L/2", 458.1), ("DiT-XL/2", 675.1), ("SiT-XL/2", 675.1), ("DiT-S/8", 33.2)],
)
def test_sizes_are_the_published_ones(name, millions):
    config = ModelConfig(name=name)
    with torch.device("meta"):
        model = Transformer(config.size, config, 1000, (4, 32, 32))
    count = sum(tensor.numel() for tensor in [*model.parameters(), model.pos_embed])
    assert count / 1e6 == pytest.approx(millions, abs=0.3 if name.endswith("8") else 0.051)


def test_all_names_resolve():
    assert len(MODELS) == 26
    assert all(ModelConfig(name=name).size.patch_size == int(name[-1]) for name in MODELS)


def randomised(config, shape=SHAPE, num_classes=7):
    model = build_model(config, num_classes, shape)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def diffusers_state(model):
    """Our weights under diffusers' names; every block there has an embedder of its own."""
    ours, renamed = model.state_dict(), {}
    for kind in ("weight", "bias"):
        renamed[f"pos_embed.proj.{kind}"] = ours[f"x_embedder.proj.{kind}"]
        renamed[f"proj_out_1.{kind}"] = ours[f"final_layer.adaLN_modulation.1.{kind}"]
        renamed[f"proj_out_2.{kind}"] = ours[f"final_layer.linear.{kind}"]
    for index in range(len(model.blocks)):
        block, emb = f"transformer_blocks.{index}", f"transformer_blocks.{index}.norm1.emb"
        renamed[f"{emb}.class_embedder.embedding_table.weight"] = ours["y_embedder.embedding_table.weight"]
        for kind in ("weight", "bias"):
            renamed[f"{emb}.timestep_embedder.linear_1.{kind}"] = ours[f"t_embedder.mlp.0.{kind}"]
            renamed[f"{emb}.timestep_embedder.linear_2.{kind}"] = ours[f"t_embedder.mlp.2.{kind}"]
            renamed[f"{block}.norm1.linear.{kind}"] = ours[f"blocks.{index}.adaLN_modulation.1.{kind}"]
            for part, name in zip(ours[f"blocks.{index}.attn.qkv.{kind}"].chunk(3), "qkv", strict=True):
                renamed[f"{block}.attn1.to_{name}.{kind}"] = part
            renamed[f"{block}.attn1.to_out.0.{kind}"] = ours[f"blocks.{index}.attn.proj.{kind}"]
            renamed[f"{block}.ff.net.0.proj.{kind}"] = ours[f"blocks.{index}.mlp.fc1.{kind}"]
            renamed[f"{block}.ff.net.2.{kind}"] = ours[f"blocks.{index}.mlp.fc2.{kind}"]
    return renamed


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
def test_output_equals_diffusers():
    from diffusers import DiTTransformer2DModel

    model = randomised(ModelConfig(name="DiT-S/2", width=64, depth=3, num_heads=4, freq_shift=1))
    theirs = DiTTransformer2DModel(
        num_attention_heads=4,
        attention_head_dim=16,
        in_channels=4,
        out_channels=8,
        num_layers=3,
        sample_size=16,
        patch_size=2,
        num_embeds_ada_norm=7,
        norm_eps=1e-6,
    ).eval()
    missing = theirs.load_state_dict(diffusers_state(model), strict=False).missing_keys
    assert not [name for name in missing if "pos_embed.pos_embed" not in name]
    x, t, labels = torch.randn(3, *SHAPE), torch.tensor([13, 500, 977]), torch.tensor([0, 6, 7])
    with torch.no_grad():
        expected = theirs(x, timestep=t, class_labels=labels).sample
        torch.testing.assert_close(model(x, t.float(), labels), expected, rtol=1e-5, atol=1e-5)


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
