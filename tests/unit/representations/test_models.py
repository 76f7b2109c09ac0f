"""Latents, tokens and text from tiny models with random weights, against the libraries' results."""

import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import timm
import torch
from PIL import Image

from otcondense.datasets import SourceConfig, scan_images
from otcondense.errors import InputError
from otcondense.representations import (
    LatentConfig,
    LatentDecoder,
    LatentModel,
    TextConfig,
    TextModel,
    TokenConfig,
    adm_center_crop,
)
from otcondense.representations.tables import write_text
from otcondense.store import Store, class_file, read_array, read_table, sha256_bytes, table_metadata
from pipeline.extraction_config import ExtractionConfig
from pipeline.represent import chosen_listing, extract_chosen, representation_work
from pipeline.work import Target
from tests.generators.weights import write_autoencoder, write_t5, write_timm

SIZE = 32


@pytest.fixture(scope="module")
def vae(tmp_path_factory):
    return write_autoencoder(tmp_path_factory.mktemp("vae"))


@pytest.fixture(scope="module")
def vit(tmp_path_factory):
    return write_timm(tmp_path_factory.mktemp("vit") / "vit.safetensors", "test_vit", img_size=SIZE)


@pytest.fixture(scope="module")
def t5(tmp_path_factory):
    return write_t5(tmp_path_factory.mktemp("t5"), ("great", "white", "shark"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    rng = np.random.default_rng(0)
    root = tmp_path_factory.mktemp("images")
    (root / "a").mkdir()
    for number in range(3):
        pixels = rng.integers(0, 256, (40, 50 + number, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "a" / f"{number}.png")
    return root


@pytest.fixture(scope="module")
def chosen(folder):
    paths = sorted(folder.glob("a/*.png"))
    hashes = [sha256_bytes(path.read_bytes()) for path in paths]
    return pa.table({"image_id": [f"a/{path.name}" for path in paths], "sha256": hashes})


def target_of(root, folder, chosen, kind, config):
    listing = chosen_listing(scan_images(SourceConfig(path=str(folder))), chosen)
    return Target(Store(str(root)), "x", listing, representation_work(kind, config, 10**6))


def write(target):
    """Return the number of classes that were encoded."""
    here = ExtractionConfig(num_encoders=0)
    return extract_chosen(target, target.work, here, lambda _done, _total: None).classes_done


def pixels_of(folder):
    crops = [adm_center_crop(Image.open(path), SIZE) for path in sorted(folder.glob("a/*.png"))]
    return torch.stack(crops)


@pytest.mark.parametrize(("width", "height"), [(64, 64), (130, 257), (20, 31), (32, 500)])
def test_the_crop_is_the_middle_of_the_image(width, height):
    """A scaled linear ramp keeps its middle value, and stays symmetric about it."""
    ramp = np.broadcast_to(np.linspace(0, 255, width), (height, width)).astype(np.uint8)
    crop = adm_center_crop(Image.fromarray(ramp).convert("RGB"), SIZE)
    assert crop.shape == (3, SIZE, SIZE)
    row = crop[0, 0].float()
    assert abs(float(row.mean()) - 127.5) < 255 / min(width, SIZE)
    torch.testing.assert_close(row + row.flip(0), torch.full((SIZE,), 255.0), atol=12, rtol=0)


def test_an_image_of_the_right_size_keeps_its_pixels():
    pixels = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    np.testing.assert_array_equal(
        adm_center_crop(Image.fromarray(pixels), SIZE).permute(1, 2, 0), pixels
    )


@pytest.mark.parametrize("batch_size", [1, 4])
@pytest.mark.parametrize("mirror", [False, True])
def test_latents_are_the_posterior_of_the_autoencoder(
    vae, folder, chosen, tmp_path, batch_size, mirror
):
    from diffusers import AutoencoderKL

    config = LatentConfig(
        model=vae, image_size=SIZE, batch_size=batch_size, mirror=mirror, device="cpu"
    )
    assert write(target_of(tmp_path, folder, chosen, "latents", config)) == 1
    table = read_table(Store(str(tmp_path)), class_file("x", "a"))
    reference = AutoencoderKL.from_pretrained(vae)
    with torch.no_grad():
        expected = [
            reference.encode(each.float() / 127.5 - 1).latent_dist
            for each in (pixels_of(folder), pixels_of(folder).flip(3))
        ]
    for name in ("mean", "std"):
        rows = read_array(table, name)
        assert rows.dtype == np.float16
        assert rows.shape == (6 if mirror else 3, 4, SIZE // 2, SIZE // 2)
        for place, posterior in enumerate(expected[: 1 + mirror]):
            np.testing.assert_allclose(
                rows[place :: 1 + mirror], getattr(posterior, name), atol=2e-3
            )
    assert table.column("flipped").to_pylist() == ([False, True] * 3 if mirror else [False] * 3)
    assert (table_metadata(table)["scaling_factor"], table_metadata(table)["class_index"]) == (
        reference.config.scaling_factor,
        0,
    )


def test_a_finished_class_is_skipped_and_a_damaged_one_redone_with_the_same_bytes(
    vae, folder, chosen, tmp_path
):
    config = LatentConfig(model=vae, image_size=SIZE, batch_size=4, device="cpu")
    target = target_of(tmp_path, folder, chosen, "latents", config)
    store, name = target.store, class_file("x", "a")
    assert write(target) == 1
    before = store.read_bytes(name)
    assert write(target) == 0
    assert write(target_of(tmp_path, folder, chosen.take([2, 0, 1]), "latents", config)) == 0
    store.write_bytes(name, before[:-50])
    assert write(target) == 1
    assert store.read_bytes(name) == before
    other = replace(target.work, weights_sha256="of other weights")
    with pytest.raises(InputError, match="the weights of the model for latents changed"):
        write(replace(target, work=other))


def test_an_image_that_changed_is_refused(vae, folder, chosen, tmp_path):
    config = LatentConfig(model=vae, image_size=SIZE, device="cpu")
    hashes = ["0" * 64, *chosen.column("sha256").to_pylist()[1:]]
    changed = chosen.set_column(1, "sha256", [hashes])
    with pytest.raises(InputError, match="has changed since its features were extracted"):
        write(target_of(tmp_path, folder, changed, "latents", config))
    assert not Store(str(tmp_path)).list("x")


def test_an_image_that_is_gone_is_refused(vae, folder, chosen, tmp_path):
    config = LatentConfig(model=vae, image_size=SIZE, device="cpu")
    other = chosen.set_column(0, "image_id", [["a/0.png", "a/1.png", "a/9.png"]])
    with pytest.raises(InputError, match=r"has no image 'a/9\.png'"):
        target_of(tmp_path, folder, other, "latents", config)


@pytest.mark.parametrize(("image_size", "input_size"), [(SIZE, SIZE), (48, SIZE)])
def test_tokens_are_the_patches_of_the_transformer(
    vit, folder, chosen, tmp_path, image_size, input_size
):
    config = TokenConfig(
        name="test_vit",
        file=vit,
        image_size=image_size,
        input_size=input_size,
        mirror=False,
        device="cpu",
        batch_size=2,
    )
    write(target_of(tmp_path, folder, chosen, "tokens", config))
    tokens = read_array(read_table(Store(str(tmp_path)), class_file("x", "a")), "tokens")
    reference = timm.create_model("test_vit", img_size=SIZE, num_classes=0).eval()
    assert (tokens.dtype, tokens.shape) == (
        np.float16,
        (3, (SIZE // 16) ** 2, reference.num_features),
    )
    if image_size == input_size:
        from safetensors.torch import load_file

        reference.load_state_dict(load_file(vit))
        mean, std = (
            torch.tensor(reference.pretrained_cfg[name]).view(1, 3, 1, 1)
            for name in ("mean", "std")
        )
        with torch.no_grad():
            expected = reference.forward_features((pixels_of(folder) / 255 - mean) / std)[
                :, reference.num_prefix_tokens :
            ]
        np.testing.assert_allclose(tokens, expected, atol=5e-3)


@pytest.mark.parametrize(("size", "tokens"), [(256, 256), (512, 1024)])
def test_dinov2_has_one_token_for_each_of_the_diffusion_transformer(size, tokens):
    assert (TokenConfig(image_size=size).model_size // 14) ** 2 == tokens == (size // 16) ** 2


def test_text_is_embedded_per_class(t5, tmp_path):
    from transformers import AutoTokenizer, T5EncoderModel

    names = tmp_path / "names.json"
    names.write_text(json.dumps({"n1": "great white shark", "n2": "shark"}))
    config = TextConfig(
        model=t5, names=str(names), prompt="white {name}", max_tokens=6, device="cpu"
    )
    store = Store(str(tmp_path))
    assert write_text(store, "text/t.parquet", {0: "n1", 1: "n2"}, config, TextModel(config))
    assert not write_text(store, "text/t.parquet", {0: "n1", 1: "n2"}, config, TextModel(config))
    table = read_table(store, "text/t.parquet")
    assert table.column("prompt").to_pylist() == ["white great white shark", "white shark"]
    np.testing.assert_array_equal(
        read_array(table, "mask"), [[1, 1, 1, 1, 0, 0], [1, 1, 0, 0, 0, 0]]
    )
    read = AutoTokenizer.from_pretrained(t5)("white shark", return_tensors="pt")
    with torch.no_grad():
        expected = T5EncoderModel.from_pretrained(t5).eval()(**read).last_hidden_state[0]
    np.testing.assert_allclose(read_array(table, "tokens")[1, :2], expected, atol=5e-3)
    with pytest.raises(InputError, match=r"missing in .*: n3 and 0 more"):
        write_text(store, "text/t.parquet", {0: "n3"}, config, TextModel(config))


def test_a_model_that_is_not_there_is_a_clear_mistake(tmp_path):
    with pytest.raises(InputError, match=r"latents.model must be an autoencoder .* download it"):
        LatentModel(LatentConfig(model=str(tmp_path / "nowhere")))


@pytest.mark.parametrize(("side", "together"), [(256, 16), (512, 4), (2048, 1)])
def test_a_gpu_decodes_as_many_images_at_once_as_fit(vae, side, together):
    """The sizes are those of the real model: latents of an eighth of the side."""
    decoder = LatentDecoder(LatentConfig(model=str(vae), device="cpu"))
    stride = decoder._autoencoder.stride
    latents = torch.empty(1, 4, side // stride, side // stride)
    assert decoder._images_at_once(latents) == together


def test_images_decoded_together_are_those_decoded_one_by_one(vae):
    decoder = LatentDecoder(LatentConfig(model=str(vae), device="cpu"))
    latents = torch.randn(5, 4, 4, 4, generator=torch.Generator().manual_seed(0))
    alone = decoder(latents)
    assert torch.equal(decoder(latents, "bfloat16"), alone), "the CPU decodes in float32"

    values = latents / decoder._scale + decoder._shift
    with torch.inference_mode():
        pairs, rounded = (decoder._decoded(values, 2, rounded=each) for each in (False, True))
    torch.testing.assert_close(pairs, alone, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(rounded, alone, rtol=0, atol=0.1)
