"""ADM's protocol against plain NumPy, its files, and the Inception network with random weights."""

import pickle
from unittest import mock

import numpy as np
import pytest
import scipy.special
import torch
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from otcondense.errors import InputError
from otcondense.evaluation import (
    AdmSamples,
    EvaluationConfig,
    Inception,
    adm,
    adm_metrics,
    encode_images,
    frechet_distance,
    half_precision_recall,
    inception_score_in_order,
    npz_images,
    precision_recall,
    read_reference,
)


def rows(n, d=6, seed=0):
    return np.random.default_rng([seed, n, d]).normal(size=(n, d))


def write_reference(path, features, spatial=None, images=None, **more):
    arrays = {"mu": features.mean(0).astype(np.float32), "sigma": np.cov(features, rowvar=False)}
    if spatial is not None:
        arrays |= {"mu_s": spatial.mean(0), "sigma_s": np.cov(spatial, rowvar=False)}
    np.savez(path, **arrays, **({} if images is None else {"arr_0": images}), **more)
    return str(path)


def test_figures_against_a_reference_file(tmp_path):
    real, spatial, fake, fake_spatial = rows(80), rows(80, 5), rows(70, seed=1), rows(70, 5, 1)
    reference = read_reference(write_reference(tmp_path / "ref.npz", real, spatial))
    samples = AdmSamples(*(torch.from_numpy(each) for each in (fake, rows(70, 4, 2), fake_spatial)))
    found = adm_metrics(samples, reference, real, half=False)
    assert found["adm_fid"] == pytest.approx(frechet_distance(fake, real), rel=1e-5)
    assert found["adm_sfid"] == pytest.approx(frechet_distance(fake_spatial, spatial), rel=1e-9)
    assert (found["adm_precision"], found["adm_recall"]) == precision_recall(fake, real)
    without = adm_metrics(samples, read_reference(write_reference(tmp_path / "plain.npz", real)))
    assert without.keys() == {"adm_fid", "adm_inception_score"}


def test_inception_score_goes_by_parts_in_order(monkeypatch):
    monkeypatch.setattr(adm, "CHUNK_IMAGES", 40)
    logits = rows(100, 5)
    scores = []
    for part in (logits[:40], logits[40:80], logits[80:]):
        p = scipy.special.softmax(part, axis=1)
        scores.append(np.exp((p * (np.log(p) - np.log(p.mean(0)))).sum(1).mean()))
    assert inception_score_in_order(logits) == pytest.approx(np.mean(scores), rel=1e-12)
    with pytest.warns(UserWarning, match="sorted by class"):
        inception_score_in_order(logits[np.argsort(logits.argmax(1), kind="stable")])


def plain_half(samples, reference, k):
    """The same arithmetic in NumPy: sums in single precision, all rounded to half."""

    def distances(a, b):
        a, b = a.astype(np.float16), b.astype(np.float16)
        product = (a.astype(np.float32) @ b.astype(np.float32).T).astype(np.float16)
        norms = [
            (each.astype(np.float32) ** 2)
            .astype(np.float16)
            .astype(np.float32)
            .sum(1)
            .astype(np.float16)
            for each in (a, b)
        ]
        return np.maximum(norms[0][:, None] - np.float16(2) * product + norms[1], 0)

    radii = [np.sort(distances(each, each), axis=1)[:, k] for each in (samples, reference)]
    across = distances(samples, reference)
    return (across <= radii[1]).any(1).mean(), (across <= radii[0][:, None]).any(0).mean()


def test_half_precision_shows_the_known_bias_and_equals_its_definition():
    generator = np.random.default_rng(0)
    features = np.abs(generator.normal(0.4, 0.5, (1400, 256))).astype(np.float32)
    samples, reference = features[:700] * 1.01, features[700:]
    exact, half = precision_recall(samples, reference), half_precision_recall(samples, reference)
    assert half == pytest.approx(plain_half(samples, reference, 3), abs=5e-3)
    assert half.precision > exact.precision
    assert half.recall > exact.recall


def test_half_precision_in_blocks_and_where_it_overflows(monkeypatch):
    samples, reference = (rows(90, 8, seed).astype(np.float32) * 1e4 for seed in (0, 1))
    assert half_precision_recall(samples, reference) == precision_recall(
        samples, reference
    )  # half overflows: single it is
    whole = half_precision_recall(samples / 1e4, reference / 1e4)
    monkeypatch.setattr(adm, "BLOCK_ROWS", 16)
    assert half_precision_recall(samples / 1e4, reference / 1e4) == whole


def test_images_of_a_file_come_in_parts(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (11, 4, 5, 3), dtype=np.uint8)
    np.savez(tmp_path / "a.npz", arr_0=images, arr_1=np.arange(11))
    np.savez_compressed(tmp_path / "b.npz", images)
    for name in ("a.npz", "b.npz"):
        parts = list(npz_images(str(tmp_path / name), 4))
        assert [len(part) for part in parts] == [4, 4, 3]
        assert torch.equal(torch.cat(parts), torch.from_numpy(images).permute(0, 3, 1, 2))


def spoiled_files(folder):
    np.savez(folder / "floats.npz", arr_0=np.zeros((2, 4, 4, 3)))
    np.savez(folder / "nothing.npz", other=np.zeros(2))
    (folder / "text.npz").write_text("no archive")
    np.savez(
        folder / "objects.npz",
        arr_0=np.array([{}], dtype=object),
        mu=np.array([{}], dtype=object),
        sigma=np.zeros(1),
    )
    whole = folder / "whole.npz"
    np.savez(whole, arr_0=np.zeros((50, 8, 8, 3), np.uint8))
    (folder / "cut.npz").write_bytes(whole.read_bytes()[:-600])
    return ["floats.npz", "nothing.npz", "text.npz", "objects.npz", "cut.npz", "missing.npz"]


def test_spoiled_files_are_named_and_nothing_is_unpickled(tmp_path):
    for name in spoiled_files(tmp_path):
        with (
            mock.patch.object(pickle, "load", side_effect=AssertionError),
            pytest.raises(InputError, match=name),
        ):
            list(npz_images(str(tmp_path / name)))
        with (
            mock.patch.object(pickle, "load", side_effect=AssertionError),
            pytest.raises(InputError, match=name),
        ):
            read_reference(str(tmp_path / name))


@pytest.mark.parametrize(("name", "value"), [("mu", np.full(6, np.nan)), ("sigma", np.eye(5))])
def test_unfit_statistics_are_named(tmp_path, name, value):
    arrays = {"mu": np.zeros(6), "sigma": np.eye(6), name: value}
    np.savez(tmp_path / "ref.npz", **arrays)
    with pytest.raises(InputError, match=r"mu and sigma must be finite of shapes"):
        read_reference(str(tmp_path / "ref.npz"))


@pytest.fixture(scope="module")
def inception_weights(tmp_path_factory):
    """A file of random weights of the network: its own cannot be fetched here."""
    path = tmp_path_factory.mktemp("inception") / "weights.pth"
    torch.manual_seed(0)
    with (
        mock.patch(
            "torch_fidelity.feature_extractor_inceptionv3.load_state_dict_from_url", return_value={}
        ),
        mock.patch.object(FeatureExtractorInceptionV3, "load_state_dict"),
    ):
        torch.save(FeatureExtractorInceptionV3("x", ["2048"]).state_dict(), path)
    return str(path)


def test_inception_gives_what_torch_fidelity_does_and_the_spatial_features(inception_weights):
    images = torch.from_numpy(
        np.random.default_rng(0).integers(0, 256, (3, 3, 20, 24), dtype=np.uint8)
    )
    network = Inception(inception_weights, "cpu")
    found = encode_images(images, network, 2)
    theirs = FeatureExtractorInceptionV3(
        "y", ["2048", "logits_unbiased"], feature_extractor_weights_path=inception_weights
    )
    padded = torch.cat([images, torch.zeros(1, 3, 20, 24, dtype=torch.uint8)])
    expected = [theirs(part) for part in padded.split(2)]
    assert torch.equal(found.features, torch.cat([each[0] for each in expected])[:3])
    assert torch.equal(found.logits, torch.cat([each[1] for each in expected])[:3])
    assert found.spatial.shape == (3, 17 * 17 * 7)
    maps = found.spatial.view(3, 17, 17, 7)
    assert (maps >= 0).all()  # after the rectifier
    assert maps.std() > 0
    assert network.weights_sha256 == Inception(inception_weights, "cpu").weights_sha256
    grey = torch.zeros(2, 1, 20, 24, dtype=torch.uint8)
    assert torch.equal(network(grey).features, network(grey.expand(-1, 3, -1, -1)).features)


def test_unfit_weights_are_named(tmp_path):
    (tmp_path / "text.pth").write_text("no weights")
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pth")
    (tmp_path / "code.pth").write_bytes(pickle.dumps(np.random.default_rng, protocol=2))
    for name, message in (
        ("text.pth", "cannot be used"),
        ("other.pth", "Missing key"),
        ("code.pth", "cannot be used"),
        ("none.pth", "prefetch"),
    ):
        with pytest.raises(InputError, match=message):
            Inception(str(tmp_path / name), "cpu")


def test_what_is_wrong_with_a_file_is_told_once(tmp_path):
    np.savez(tmp_path / "floats.npz", arr_0=np.zeros((2, 4, 4, 3)), mu=np.zeros(2))
    with pytest.raises(InputError, match=r"^arr_0 of .*floats\.npz must be uint8"):
        list(npz_images(str(tmp_path / "floats.npz")))
    with pytest.raises(InputError, match=r"^.*floats\.npz must hold mu and sigma"):
        read_reference(str(tmp_path / "floats.npz"))


def test_one_group_of_samples_gives_no_error():
    with pytest.raises(ValueError, match="error_groups must be 0 or at least 2"):
        EvaluationConfig(error_groups=1)
