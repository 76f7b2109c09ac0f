"""torchvision's GoogLeNet with the interface of a timm model; timm does not have it.

Source: C. Szegedy et al., Going deeper with convolutions, CVPR 2015.
"""

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from otcondense.fetched import fetch_weights, read_tensors

GOOGLENET = "googlenet"
GOOGLENET_CONFIG: dict[str, Any] = {
    "input_size": (3, 224, 224),
    "mean": (0.5, 0.5, 0.5),
    "std": (0.5, 0.5, 0.5),
    "interpolation": "bilinear",
    "crop_pct": 0.875,
    "crop_mode": "center",
    "num_classes": 1000,
    "fixed_input_size": False,
}
"""The inputs that the weights were trained on: torchvision's own `transform_input` converts
ImageNet's normalisation to this scaling."""


class GoogLeNet(nn.Module):
    """GoogLeNet without its auxiliary classifiers: 1024 features of images scaled to [-1, 1].

    Args:
        num_classes: classes of the classifier, 0 for none.
        pretrained: fetch torchvision's ImageNet weights.
    """

    def __init__(self, num_classes: int, *, pretrained: bool) -> None:
        from torchvision.models import GoogLeNet_Weights, googlenet

        super().__init__()
        self.net = googlenet(
            weights=None,
            aux_logits=False,
            transform_input=False,
            init_weights=False,
            num_classes=num_classes or 1000,
        )
        if pretrained:
            weights = read_tensors(fetch_weights(GoogLeNet_Weights.IMAGENET1K_V1.url))
            self.net.load_state_dict(
                {name: tensor for name, tensor in weights.items() if not name.startswith("aux")}
            )
        if not num_classes:
            self.net.fc = nn.Identity()
        self.num_features = 1024

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Return the weights under torchvision's names."""
        return self.net.state_dict(*args, **kwargs)

    def load_state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """Load weights that have torchvision's names."""
        return self.net.load_state_dict(*args, **kwargs)

    def forward_features(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 1024 y x"]:
        """Return the last maps before pooling."""
        result = images
        for name, layer in self.net.named_children():
            if name == "avgpool":
                return result
            result = layer(result)
        raise AssertionError("torchvision's GoogLeNet has a pooling layer")

    def forward_head(
        self, maps: Float[Tensor, "b 1024 y x"], *, pre_logits: bool = False
    ) -> Float[Tensor, "b c"]:
        """Return the pooled features, or the logits."""
        features: Tensor = self.net.avgpool(maps).flatten(1)
        return features if pre_logits else self.net.fc(features)

    def get_classifier(self) -> nn.Module:
        """Return the last layer."""
        classifier: nn.Module = self.net.fc
        return classifier

    def forward(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c"]:
        """Return the logits."""
        return self.forward_head(self.forward_features(images))
