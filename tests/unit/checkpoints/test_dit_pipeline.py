"""Our model and diffusers': equal outputs both ways, and a pipeline that loads."""

import pytest
import torch

from otcondense.checkpoints.dit_pipeline import export_pipeline, from_diffusers, to_diffusers
from otcondense.diffusion import ModelConfig, build_model
from otcondense.errors import InputError
from tests.generators.weights import write_autoencoder

pytestmark = pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning"
)
SHAPE = (4, 16, 16)


def random_model(num_classes=7, **settings):
    model = build_model(
        ModelConfig(name="DiT-S/2", **{"width": 64, "depth": 3, "num_heads": 4, **settings}),
        num_classes,
        SHAPE,
    )
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


def outputs(model, *, theirs=False):
    x = torch.randn(3, *SHAPE, generator=torch.Generator().manual_seed(2))
    t = torch.tensor([13, 500, 977])
    labels = torch.tensor([0, 6, 7])
    with torch.no_grad():
        if theirs:
            return model(x, timestep=t, class_labels=labels).sample
        return model(x, t.float(), labels)


@pytest.mark.parametrize("size", [{}, {"width": 384, "depth": 12, "num_heads": 6}])
@pytest.mark.parametrize("freq_shift", [0, 1])
def test_outputs_are_equal_to_the_last_bit(freq_shift, size):
    model = random_model(freq_shift=freq_shift, **size)
    theirs = to_diffusers(model)
    assert (outputs(theirs, theirs=True) - outputs(model)).abs().max() == 0
    assert (outputs(from_diffusers(theirs)) - outputs(model)).abs().max() == 0


def test_there_and_back_keeps_every_tensor():
    model = random_model(freq_shift=1)
    again = from_diffusers(to_diffusers(model)).state_dict()
    assert again.keys() == model.state_dict().keys()
    assert all(torch.equal(again[name], value) for name, value in model.state_dict().items())


@pytest.mark.parametrize("kind", ["AutoencoderKL", "AutoencoderDC", "AutoencoderTiny"])
def test_the_pipeline_loads_the_export(kind, tmp_path):
    from diffusers import DiTPipeline

    model = random_model(num_classes=1000, freq_shift=1)
    export_pipeline(
        model,
        write_autoencoder(tmp_path / "vae", kind),
        str(tmp_path / "pipeline"),
        {0: "tench", 1: "goldfish"},
    )
    pipeline = DiTPipeline.from_pretrained(str(tmp_path / "pipeline"), low_cpu_mem_usage=False)
    assert (outputs(pipeline.transformer, theirs=True) - outputs(model)).abs().max() == 0
    pipeline.set_progress_bar_config(disable=True)
    images = pipeline(
        pipeline.get_label_ids(["goldfish"]),
        guidance_scale=1.5,
        num_inference_steps=2,
        output_type="np",
    ).images
    assert images.shape == (1, 32, 32, 3)
    assert type(pipeline.vae).__name__ == kind


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        ("AutoencoderRAE", {}, "found AutoencoderRAE .* with images from 0 to 1"),
        ("AutoencoderKL", {"shift_factor": 0.25}, "with shift_factor 0.25"),
        ("VQModel", {}, "latents of 4 channels, found 3 channels"),
    ],
)
def test_autoencoders_that_the_pipeline_does_not_support_are_refused(
    kind, settings, message, tmp_path
):
    folder = write_autoencoder(tmp_path / "vae", kind, **settings)
    with pytest.raises(InputError, match=message):
        export_pipeline(random_model(num_classes=1000, freq_shift=1), folder, str(tmp_path / "p"))
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"freq_shift": 0, "num_classes": 1000}, "freq_shift=1, found 0"),
        ({"freq_shift": 1}, "a model of 7 classes"),
    ],
)
def test_models_that_the_pipeline_does_not_support_are_refused(settings, message, tmp_path):
    with pytest.raises(InputError, match=message):
        export_pipeline(random_model(**settings), "vae", str(tmp_path))


def test_blocks_that_differ_cannot_be_shared():
    theirs = to_diffusers(random_model(freq_shift=1))
    with torch.no_grad():
        theirs.transformer_blocks[2].norm1.emb.class_embedder.embedding_table.weight[3] += 1
    with pytest.raises(InputError, match="block 2 differs from block 0"):
        from_diffusers(theirs)
