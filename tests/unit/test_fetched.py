"""Weights by address: fetched once; refused for a wrong hash or anything else than tensors."""

import hashlib

import pytest
import torch

from otcondense.errors import InputError
from otcondense.fetched import fetch_weights, fetched_path, read_tensors


@pytest.fixture
def published(tmp_path, monkeypatch):
    """Addresses of a file: in the name of the first is its hash, in the second another one."""
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


def test_a_wrong_hash_and_a_missing_address_are_refused(published):
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
