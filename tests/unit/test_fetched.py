"""Weights by address: fetched once, refused where the hash in their name is another's or they hold more than tensors."""

import hashlib

import pytest
import torch

from otcondense.errors import InputError
from otcondense.fetched import fetch_weights, fetched_path, read_tensors


@pytest.fixture
def published(tmp_path, monkeypatch):
    """Addresses of a file under a name with its own hash, and under one with another's."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    torch.save({"weight": torch.arange(3.0)}, tmp_path / "w.pth")
    content = (tmp_path / "w.pth").read_bytes()
    names = [
        f"net-{digits}.pth" for digits in (hashlib.sha256(content).hexdigest()[:8], "00000000")
    ]
    for name in names:
        (tmp_path / name).write_bytes(content)
    return [(tmp_path / name).as_uri() for name in names]


def test_a_file_is_fetched_once(published):
    path = fetch_weights(published[0])
    assert read_tensors(path)["weight"].tolist() == [0, 1, 2]
    changed = path.stat().st_mtime_ns
    assert fetch_weights(published[0]) == path == fetched_path(published[0])
    assert path.stat().st_mtime_ns == changed


def test_another_hash_and_another_place(published):
    for address in (published[1], published[0].replace("net-", "none-")):
        with pytest.raises(
            InputError, match=r"cannot be fetched .* run prefetch where there is a network"
        ):
            fetch_weights(address)
        assert not fetched_path(address).exists()


@pytest.mark.parametrize("content", [[torch.zeros(1)], {"weight": 1}, torch.nn.Linear(1, 1)])
def test_only_tensors_are_read(content, tmp_path):
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(
        InputError, match=r"weights .*w\.pth (cannot be used|must be a state dict of tensors)"
    ):
        read_tensors(tmp_path / "w.pth")
