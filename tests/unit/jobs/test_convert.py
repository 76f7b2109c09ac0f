"""Checkpoints through the verb: a public file in, a public file and a pipeline out."""

import pytest
import torch
from safetensors.torch import load_file

from jobs.convert.__main__ import main
from jobs.convert.command import read_class_names
from otcondense.checkpoints import to_public
from otcondense.diffusion import ModelConfig, SamplerConfig, build_model, sample_batch
from otcondense.diffusion.checkpoint import load_model
from otcondense.errors import InputError
from otcondense.store import Store


@pytest.fixture
def public(tmp_path):
    model = build_model(ModelConfig(name="SiT-S/2", width=16, depth=2, num_heads=2), 5, (1, 8, 8))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1)
    torch.save({"ema": to_public(model)}, tmp_path / "public.pt")
    return tmp_path / "public.pt", to_public(model)


def test_a_public_file_can_be_sampled_and_written_again(public, tmp_path):
    file, state = public
    main(["from-public", str(file), str(tmp_path / "ours"), "--family", "SiT", "--num-heads", "2"])
    model, checkpoint = load_model(Store(str(tmp_path)), "ours")
    images, _ = sample_batch(
        model,
        checkpoint.state.objective,
        torch.arange(2),
        SamplerConfig(batch_size=2, num_steps=2),
    )
    assert images.shape == (2, 1, 8, 8)
    main(["to-public", str(tmp_path / "ours"), str(tmp_path / "again.safetensors")])
    again = load_file(tmp_path / "again.safetensors")
    assert again.keys() == state.keys()
    assert all(torch.equal(again[name], value) for name, value in state.items())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["from-public", "absent.pt", "ours", "--family", "SiT"],
            "checkpoint file absent.pt does not exist",
        ),
        (["to-public", "absent", "out.safetensors"], "not a complete checkpoint"),
    ],
)
def test_mistakes(arguments, message, capsys):
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2
    assert message in capsys.readouterr().err


def test_a_velocity_model_is_no_pipeline_and_last_weights_are_not_there(public, tmp_path, capsys):
    main(
        [
            "from-public",
            str(public[0]),
            str(tmp_path / "ours"),
            "--family",
            "SiT",
            "--num-heads",
            "2",
        ]
    )
    for arguments, message in (
        (
            ["to-diffusers", "--autoencoder", "vae"],
            "needs a model trained with objective dit, found objective sit-linear",
        ),
        (["to-public", "--weights", "model"], "has only the weights ema, found model requested"),
    ):
        with pytest.raises(SystemExit):
            main([arguments[0], str(tmp_path / "ours"), str(tmp_path / "out"), *arguments[1:]])
        assert message in capsys.readouterr().err


@pytest.mark.parametrize("text", ['{"tench": 0}', '["tench"]', "{", None])
def test_class_names_that_are_none(text, tmp_path):
    file = tmp_path / "names.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(
        InputError, match=r"--class-names must be a JSON file such as .*names\.json"
    ):
        read_class_names(str(file))
    file.write_text('{"0": "tench"}')
    assert read_class_names(str(file)) == {0: "tench"}
