"""The yardstick: a plain training and sampling loop in the style of the public DiT and SiT scripts.

Images are decoded in the loop (or encoded by the autoencoder, for latents). Arithmetic is float32
(TF32 on a GPU), and AdamW is PyTorch's default. The average of the weights is updated one parameter
after another, and the loss is read at every step. Samples are saved one PNG after another, and read
back for the npz.
"""

from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from otcondense.diffusion import Transformer, load_objective

LABEL_DROP = 0.1
"""Share of the labels replaced by the unconditional one in training."""


class ImageFiles(Dataset[tuple[Tensor, int]]):
    """PNG files, decoded and transformed on access; the class is the folder."""

    def __init__(self, root: Path, size: int) -> None:
        self._files = sorted(root.rglob("*.png"))
        steps = [
            transforms.CenterCrop(size),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize([0.5], [0.5]),
        ]
        self._transform = transforms.Compose(steps)

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        with Image.open(self._files[index]) as image:
            x = self._transform(image)
        return x, int(self._files[index].parent.name)


@dataclass
class PlainTraining:
    """The state of the plain loop."""

    model: Transformer
    objective: str
    learning_rate: float
    ema_decay: float

    def __post_init__(self) -> None:
        self.ema = deepcopy(self.model).requires_grad_(requires_grad=False)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=self.learning_rate, weight_decay=0
        )

    def step(self, x: Tensor, labels: Tensor) -> float:
        """Do one step and return its loss."""
        noise = torch.randn_like(x)
        uniform = torch.rand(len(x), device=x.device)
        dropped = torch.rand(len(x), device=x.device) < LABEL_DROP
        labels = torch.where(dropped, self.model.num_classes, labels)
        loss = load_objective(self.objective).losses(self.model, x, noise, uniform, labels).mean()
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.update_ema()
        return loss.item()

    @torch.no_grad()
    def update_ema(self) -> None:
        """Move each averaged parameter towards the current one."""
        averaged = dict(self.ema.named_parameters())
        for name, parameter in self.model.named_parameters():
            averaged[name].mul_(self.ema_decay).add_(parameter.data, alpha=1 - self.ema_decay)


def endless(root: Path, size: int, batch_size: int) -> Any:
    """Yield batches of the files in random order, one pass after another."""
    loader = DataLoader(ImageFiles(root, size), batch_size=batch_size, shuffle=True, drop_last=True)
    while True:
        yield from loader


def save_pngs(images: np.ndarray, folder: Path, first: int) -> None:
    """Save images [n, c, h, w], one file each."""
    for offset, image in enumerate(images):
        pixels = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
        Image.fromarray(pixels).save(folder / f"{first + offset:06d}.png")


def pngs_to_npz(folder: Path, target: Path) -> None:
    """Read every PNG and write one npz."""
    files = sorted(folder.glob("*.png"))
    images = [np.asarray(Image.open(file).convert("RGB")) for file in files]
    np.savez(target, arr_0=np.stack(images))
