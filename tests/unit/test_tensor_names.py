"""Weights that do not fit: the first three tensors, and the likely cause."""

import pytest

from otcondense.tensor_names import Shape, encoder_misfit, misfit

NETWORK: dict[str, Shape] = {
    "conv.weight": (8, 3, 3, 3),
    "norm.weight": (8,),
    "fc.weight": (10, 8),
    "fc.bias": (10,),
}


def changed(**shapes: Shape) -> dict[str, Shape]:
    """Return the network with other shapes, by names with _ for the dot."""
    return {**NETWORK, **{name.replace("_", "."): shape for name, shape in shapes.items()}}


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (
            changed(fc_weight=(1000, 8), fc_bias=(1000,)),
            "2 of 4 tensors differ: fc.weight (expected 10x8, found 1000x8), fc.bias (expected 10, "
            "found 1000); the file has 1000 classes: correct num_classes",
        ),
        (
            changed(conv_weight=(8, 1, 3, 3)),
            "1 of 4 tensors differ: conv.weight (expected 8x3x3x3, found 8x1x3x3); the file takes "
            "1 channels: correct in_chans",
        ),
        (
            {f"module.{name}": shape for name, shape in NETWORK.items()},
            "8 of 8 tensors differ: conv.weight (missing), norm.weight (missing), fc.weight "
            "(missing) and 5 more; the names in the file begin with 'module.': save the network "
            "without it",
        ),
        (
            {"cls_token": (1, 8)},
            "5 of 5 tensors differ: conv.weight (missing), norm.weight (missing), fc.weight "
            "(missing) and 2 more; the file is of another network: correct name or weights",
        ),
        (
            {name: shape for name, shape in NETWORK.items() if name != "fc.bias"},
            "1 of 4 tensors differ: fc.bias (missing); the file is of another version of this "
            "network, or is not whole",
        ),
        (
            changed(conv_weight=(16, 3, 3, 3), norm_weight=(16,), fc_weight=(10, 16)),
            "3 of 4 tensors differ: conv.weight (expected 8x3x3x3, found 16x3x3x3), norm.weight "
            "(expected 8, found 16), fc.weight (expected 10x8, found 10x16); the file is of "
            "another size of this network: correct name or weights",
        ),
    ],
)
def test_the_first_tensors_and_the_cause_are_named(found: dict[str, Shape], message: str) -> None:
    assert encoder_misfit(NETWORK, found) == message
    assert message.startswith(f"{misfit(NETWORK, found)}; ")


def test_weights_that_fit_are_no_mistake() -> None:
    assert encoder_misfit(NETWORK, dict(reversed(NETWORK.items()))) is None
